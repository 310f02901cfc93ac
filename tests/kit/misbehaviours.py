"""Main servers that misbehave before a letter's turn has come, each a small named coroutine.

Most are manners: they play one connection after another (`tests/kit/session.py`). Some play the port itself. Those that
misbehave towards a letter are in `mistreatments.py`. What each does to a letter and to its destination is the table in
tests/pipeline/test_misbehaviours.py.
"""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Iterable

from tests.kit import certificates
from tests.kit.mainserver import MainServer
from tests.kit.session import Deed, Manner, Session

# Makes a main server misbehave, from its next connection on, until it is told to behave.
Misbehaviour = Callable[[MainServer], Awaitable[None]]

MIB = 1024 * 1024
EHLO = b"250-main.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0"


def each_connection(manner: Manner) -> Misbehaviour:
    """A server that plays each connection so."""

    @functools.wraps(manner)
    async def misbehave(server: MainServer) -> None:
        server.manner = manner

    return misbehave


def answers(stage: str, reply: bytes) -> Misbehaviour:
    """A server that says `reply` at `stage` instead of the usual; at DOT, the letter is not kept."""

    async def manner(session: Session) -> None:
        await session.play(**{stage: reply})

    manner.__name__ = f"answers_{reply[:3].decode()}_to_{stage.lower()}"
    return each_connection(manner)


def never_answers(stage: str) -> Misbehaviour:
    """A server that says nothing any more from `stage` on; at DOT, the letter is not kept."""

    async def manner(session: Session) -> None:
        await session.play(**{stage: session.hang})

    manner.__name__ = f"never_answers_{stage.lower()}"
    return each_connection(manner)


def hangs_up_at(stage: str) -> Misbehaviour:
    """A server that closes the connection instead of answering at `stage`; at DOT, the letter is not kept."""

    async def manner(session: Session) -> None:
        await session.play(**{stage: session.close})

    manner.__name__ = f"hangs_up_at_{stage.lower()}"
    return each_connection(manner)


def hangs_up_after(stage: str, reply: bytes) -> Misbehaviour:
    """A server that says `reply` at `stage` and closes the connection."""

    async def manner(session: Session) -> None:
        await session.play(**{stage: last_word(session, reply)})

    manner.__name__ = f"hangs_up_after_{stage.lower()}"
    return each_connection(manner)


def last_word(session: Session, reply: bytes) -> Deed:
    """Say `reply` and close the connection."""

    async def say_and_close(_said: bytes) -> None:
        await session.say(reply)
        await session.close()

    return say_and_close


# The connection.


async def refuses(server: MainServer) -> None:
    """Nobody listens: the connection is refused."""
    await server.refuse()


async def is_a_black_hole(server: MainServer) -> None:
    """Packets vanish: whoever connects hears nothing."""
    await server.vanish()


@each_connection
async def resets(session: Session) -> None:
    """Takes the connection and resets it."""
    await session.reset()


@each_connection
async def hangs_up_at_once(session: Session) -> None:
    """Takes the connection and closes it."""
    await session.close()


# The greeting.


@each_connection
async def greets_never(session: Session) -> None:
    """Takes the connection and says nothing."""
    await session.hang()


@each_connection
async def greets_421(session: Session) -> None:
    """Has too much to do."""
    await session.say(b"421 4.3.2 main.test is too busy")


@each_connection
async def greets_450(session: Session) -> None:
    """Not now, and no word of why."""
    await session.say(b"450 4.3.0 Not now")


@each_connection
async def greets_554(session: Session) -> None:
    """Does not want to talk with us (RFC 5321 3.1)."""
    await session.say(b"554 5.3.2 No SMTP service here")


@each_connection
async def greets_554_and_listens_on(session: Session) -> None:
    """Says so and answers 503 to everything, as RFC 5321 3.1 has it, instead of hanging up."""
    await session.say(b"554 5.3.2 No SMTP service here")
    while True:
        await session.hear()
        await session.say(b"503 5.5.1 No SMTP service here")


@each_connection
async def greets_250(session: Session) -> None:
    """A code that is none of a greeting."""
    await session.play(CONNECT=b"250 main.test ESMTP")


@each_connection
async def greets_with_10_mb(session: Session) -> None:
    """A line that has an end, but what a one."""
    await session.send(b"220 ")
    for _ in range(10):
        await session.send(b"x" * MIB)
    await session.say(b"")
    await session.hang()


@each_connection
async def greets_without_end(session: Session) -> None:
    """Another line, and another."""
    await session.pour(b"220-main.test ESMTP\r\n", every_seconds=0.02)


@each_connection
async def greets_for_ever_byte_by_byte(session: Session) -> None:
    """Never silent, and never done."""
    await session.send(b"220 ")
    await session.pour(b"x", every_seconds=0.2)


@each_connection
async def greets_with_garbage(session: Session) -> None:
    """Is no mail server at all."""
    await session.say(random.Random(5321).randbytes(2000))
    await session.hang()


@each_connection
async def speaks_http(session: Session) -> None:
    """Is a web server."""
    await session.say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<h1>Bad Request</h1>")


@each_connection
async def serves_one_at_a_time(session: Session) -> None:
    """Has one connection to give, and says 421 to every further one."""
    if session.server.open_sessions > 1:
        await session.say(b"421 4.7.0 Too many connections from your address")
    else:
        await session.play(KEPT=_slowly)


async def _slowly(_said: bytes) -> None:
    await asyncio.sleep(0.1)


# EHLO.


@each_connection
async def knows_only_helo(session: Session) -> None:
    """A server of 1995."""
    await session.play(EHLO=b"502 5.5.1 Not known", HELO=b"250 main.test", MAIL=without_parameters)


async def without_parameters(said: bytes) -> bytes | None:
    """At MAIL: takes an address and nothing behind it."""
    return b"555 5.5.4 No parameters here" if b"> " in said else None


@each_connection
async def refuses_ehlo_and_helo(session: Session) -> None:
    """Knows neither."""
    await session.play(EHLO=b"502 5.5.1 Not known", HELO=b"502 5.5.1 Not known")


@each_connection
async def announces_without_end(session: Session) -> None:
    """Another capability, and another."""

    async def announce(_said: bytes) -> None:
        await session.pour(b"250-XTHING\r\n", every_seconds=0.02)

    await session.play(EHLO=announce)


@each_connection
async def announces_a_line_of_1_mb(session: Session) -> None:
    """A capability that is longer than any letter of the day."""
    await session.play(EHLO=b"250-main.test\r\n250-X" + b"x" * MIB + b"\r\n250 SIZE 0")


@each_connection
async def announces_garbage(session: Session) -> None:
    """Capabilities that are none, between such as are."""
    await session.play(EHLO=b"250-main.test\r\n250-\xff\xfe\x80\r\n250-\x00\r\n250-\r\n250-SIZE much\r\n250 8BITMIME")


@each_connection
async def announces_nothing_any_more(session: Session) -> None:
    """No SIZE and no 8BITMIME today, and no parameter that names them."""
    await session.play(EHLO=b"250 main.test", MAIL=without_parameters)


# STARTTLS.


@each_connection
async def strips_starttls(session: Session) -> None:
    """Somebody on the way takes the offer of STARTTLS out."""
    session.offer(None)
    await session.play()


@each_connection
async def hangs_in_the_handshake(session: Session) -> None:
    """Says 220 to STARTTLS, and then nothing."""
    await session.play(HANDSHAKE=session.hang)


@each_connection
async def hangs_up_in_the_handshake(session: Session) -> None:
    """Says 220 to STARTTLS, and closes the connection."""
    await session.play(HANDSHAKE=session.close)


@each_connection
async def answers_the_handshake_with_garbage(session: Session) -> None:
    """Says 220 to STARTTLS, and then something that is no TLS."""
    await session.play(HANDSHAKE=b"\x80" * 200)


@each_connection
async def stays_in_clear_after_220(session: Session) -> None:
    """Says 220 to STARTTLS, and goes on in clear as if nothing had been agreed."""
    await session.play(HANDSHAKE=b"250 main.test")


@each_connection
async def injects_answers_before_tls(session: Session) -> None:
    """Somebody on the way appends a whole session's answers to the 220 of STARTTLS (CVE-2011-0411's other side)."""

    def append(reply: bytes) -> Iterable[bytes]:
        return [
            reply + b"250 main.test\r\n" * 3 + b"354 Go on\r\n250 Ok\r\n" if reply == b"220 2.0.0 Go on\r\n" else reply
        ]

    session.voice = append
    await session.play()


@each_connection
async def shows_an_expired_certificate(session: Session) -> None:
    """One of yesterday."""
    session.offer(certificates.expired())
    await session.play()


@each_connection
async def shows_the_certificate_of_another_host(session: Session) -> None:
    """A good one with a wrong name."""
    session.offer(certificates.for_another_host())
    await session.play()


@each_connection
async def shows_a_certificate_that_nobody_knows(session: Session) -> None:
    """Signed by an authority that is not trusted."""
    session.offer(certificates.by_a_stranger())
    await session.play()


@each_connection
async def refuses_ehlo_after_tls(session: Session) -> None:
    """Forgets within TLS what it can."""

    async def refuse(_said: bytes) -> bytes | None:
        return b"451 4.3.0 Not now" if session.is_secure else None

    await session.play(EHLO=refuse, HELO=refuse)


# AUTH.


@each_connection
async def offers_no_login(session: Session) -> None:
    """Does not announce AUTH, and wants it."""
    await session.play(EHLO=EHLO, AUTH=b"502 5.5.1 Not known", MAIL=b"530 5.7.0 Authentication required")
