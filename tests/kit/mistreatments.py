"""Main servers that misbehave towards a letter, each a small named coroutine (see `misbehaviours.py`)."""

import asyncio
import random
import re
from collections.abc import Iterable

from tests.kit.misbehaviours import EHLO, MIB, each_connection, last_word
from tests.kit.session import Deed, Session

# What a server says to a letter, from its greeting to the end, for one that does not wait to be asked.
WHOLE_SESSION = b"220 main.test ESMTP\r\n" + EHLO + b"\r\n250 Ok\r\n250 Ok\r\n354 Go on\r\n250 2.0.0 Ok: kept"


# Parameters of MAIL.


@each_connection
async def announces_size_and_refuses_it(session: Session) -> None:
    """Announces SIZE, and knows nothing of it at MAIL."""

    async def refuse(said: bytes) -> bytes | None:
        return b"555 5.5.4 SIZE is not known" if b" SIZE=" in said else None

    await session.play(MAIL=refuse)


@each_connection
async def announces_8bitmime_and_refuses_it(session: Session) -> None:
    """Announces 8BITMIME, and knows nothing of it at MAIL."""

    async def refuse(said: bytes) -> bytes | None:
        return b"501 5.5.4 BODY is not known" if b" BODY=" in said else None

    await session.play(MAIL=refuse)


@each_connection
async def takes_small_letters_only(session: Session) -> None:
    """Announces a size below that of the letter, and means it."""

    async def refuse(said: bytes) -> bytes | None:
        return b"552 5.3.4 Too large" if b" SIZE=" in said else None

    await session.play(EHLO=b"250-main.test\r\n250 SIZE 100", MAIL=refuse)


# Whole sessions.


@each_connection
async def answers_byte_by_byte(session: Session) -> None:
    """Each byte a packet of its own."""
    session.voice = _single_bytes
    await session.play()


def _single_bytes(reply: bytes) -> Iterable[bytes]:
    return (reply[at : at + 1] for at in range(len(reply)))


@each_connection
async def answers_in_codes_alone(session: Session) -> None:
    """No text, which RFC 5321 section 4.2 wants clients to bear."""
    session.voice = lambda reply: [re.sub(rb"(?m)^(\d{3}) .*(?=\r)", rb"\1", reply)]
    await session.play()


@each_connection
async def ends_lines_with_lf(session: Session) -> None:
    """Has never heard of CR."""
    session.voice = lambda reply: [reply.replace(b"\r", b"")]
    await session.play()


@each_connection
async def answers_ehlo_with_garbage(session: Session) -> None:
    """Greets as a mail server does, and is none."""
    await session.play(EHLO=random.Random(821).randbytes(500), HELO=b"Hello yourself")


@each_connection
async def says_everything_twice(session: Session) -> None:
    """Each answer comes again, as one that nobody asked for."""
    session.voice = lambda reply: [reply + reply]
    await session.play()


@each_connection
async def answers_before_it_is_asked(session: Session) -> None:
    """Says all that a letter would hear, to its end, and has heard nothing."""
    await session.say(WHOLE_SESSION)
    await session.hang()


@each_connection
async def answers_out_of_order(session: Session) -> None:
    """Says to RCPT what belongs to DATA, and to DATA what belongs to RCPT."""
    swapped = {b"250 2.1.5 Ok\r\n": b"354 Go on\r\n", b"354 Go on\r\n": b"250 2.1.5 Ok\r\n"}
    session.voice = lambda reply: [swapped.get(reply, reply)]
    await session.play()


@each_connection
async def speaks_latin_1(session: Session) -> None:
    """Words that are no UTF-8, in every answer."""
    session.voice = lambda reply: [reply.replace(b" ", b" Gr\xfc\xdfe ", 1)]
    await session.play()


@each_connection
async def refuses_in_latin_1(session: Session) -> None:
    """A refusal that is no UTF-8 and has NUL in it."""
    await session.play(RCPT=b"450 4.2.1 Gr\xfc\xdfe \x00 sp\xe4ter")


@each_connection
async def answers_differently_each_time(session: Session) -> None:
    """No two connections are treated alike."""
    deeds: list[dict[str, Deed]] = [
        {"CONNECT": b"421 4.3.2 Busy"},
        {"EHLO": session.close},
        {"MAIL": b"450 4.2.0 Later"},
        {"RCPT": b"550 5.1.1 No such user"},
        {"DATA": session.reset},
        {"DOT": b"452 4.3.1 Full"},
    ]
    await session.play(**deeds[session.server.connections % len(deeds)])


# The transaction.


@each_connection
async def answers_rcpt_without_end(session: Session) -> None:
    """Another line of the same answer, and another."""

    async def answer(_said: bytes) -> None:
        await session.pour(b"250-Ok\r\n", every_seconds=0.02)

    await session.play(RCPT=answer)


@each_connection
async def answers_rcpt_with_two_minds(session: Session) -> None:
    """One answer of several lines with codes that differ (RFC 5321 4.2.1 forbids it)."""
    await session.play(RCPT=b"250-2.1.5 Ok\r\n550 5.1.1 No such user")


@each_connection
async def answers_rcpt_with_1_mb(session: Session) -> None:
    """The answer is short, and its text is not."""
    await session.play(RCPT=b"450 " + b"x" * MIB)


@each_connection
async def resets_in_the_middle_of_the_letter(session: Session) -> None:
    """Has heard some of it."""

    async def hear_some(_said: bytes) -> None:
        await _hear_some(session)
        await session.reset()

    await session.play(BODY=hear_some)


async def _hear_some(session: Session) -> None:
    """And let the rest stand on the way for a moment."""
    await session.reader.readexactly(200)
    session.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)


@each_connection
async def says_421_in_the_middle_of_the_letter(session: Session) -> None:
    """Has heard some of it, says that it closes, and does."""

    async def hear_some(_said: bytes) -> None:
        await _hear_some(session)
        await session.say(b"421 4.3.2 Closing")
        await session.close()

    await session.play(BODY=hear_some)


@each_connection
async def stalls_in_the_middle_of_the_letter(session: Session) -> None:
    """Reads no more; a large letter finds no room on the way."""
    await session.play(BODY=session.stall)


@each_connection
async def refuses_mail_and_takes_the_letter(session: Session) -> None:
    """Says 450 to MAIL, and then takes all that follows it."""
    session.voice = lambda reply: [b"450 4.2.0 Later\r\n" if reply == b"250 2.1.0 Ok\r\n" else reply]
    await session.play()


@each_connection
async def answers_mail_twice(session: Session) -> None:
    """One 250 too many, so that each answer is taken for another's; and refuses the letter in the end."""
    session.voice = lambda reply: [reply * 2 if reply == b"250 2.1.0 Ok\r\n" else reply]
    await session.play(DOT=b"554 5.7.1 Refused after all")


@each_connection
async def hangs_at_rset(session: Session) -> None:
    """Refuses a letter for now, and then does not let it be taken back."""
    await session.play(RCPT=b"451 4.2.0 Later", RSET=session.hang)


@each_connection
async def refuses_rset(session: Session) -> None:
    """Refuses a letter for now, and then refuses to take it back."""
    await session.play(RCPT=b"451 4.2.0 Later", RSET=b"502 5.5.1 Not known")


# The end of the letter.


@each_connection
async def keeps_the_letter_and_hangs_up(session: Session) -> None:
    """Has the letter; the line breaks before the 250."""
    await session.play(KEPT=session.drop)


@each_connection
async def keeps_the_letter_and_resets(session: Session) -> None:
    """Has the letter; the connection is reset before the 250."""
    await session.play(KEPT=session.reset)


@each_connection
async def keeps_the_letter_and_says_nothing(session: Session) -> None:
    """Has the letter; the 250 never comes."""
    await session.play(KEPT=session.hang)


@each_connection
async def keeps_the_letter_and_says_half_a_word(session: Session) -> None:
    """Has the letter; of the 250 there is only the beginning."""

    async def begin(_said: bytes) -> None:
        await session.send(b"25")
        await session.close()

    await session.play(KEPT=begin)


@each_connection
async def keeps_the_letter_and_says_so_without_end(session: Session) -> None:
    """Has the letter; the 250 has another line, and another."""

    async def answer(_said: bytes) -> None:
        await session.pour(b"250-Ok\r\n", every_seconds=0.02)

    await session.play(KEPT=answer)


@each_connection
async def answers_the_dot_before_it_was_sent(session: Session) -> None:
    """Says 354 and, right behind it, the 250 that belongs to the dot; and then refuses the letter."""
    session.voice = lambda reply: [reply + b"250 2.0.0 Ok\r\n" if reply.startswith(b"354") else reply]
    await session.play(DOT=b"554 5.7.1 Refused after all")


@each_connection
async def changes_its_mind_after_250(session: Session) -> None:
    """Says 250 to the letter, and 554 right behind."""
    await session.play(KEPT=b"250 2.0.0 Ok\r\n554 5.7.1 No, on second thoughts")


@each_connection
async def says_250_and_421(session: Session) -> None:
    """Takes a letter and closes, saying so unasked."""
    await session.play(KEPT=last_word(session, b"250 2.0.0 Ok\r\n421 4.4.2 Closing"))


@each_connection
async def loses_what_it_took(session: Session) -> None:
    """Says 250 and throws the letter away."""
    await session.play(DOT=b"250 2.0.0 Ok: kept, I swear")
