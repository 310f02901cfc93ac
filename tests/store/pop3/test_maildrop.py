"""What becomes of letters that are fetched, deleted and hidden by POP3, and what a session sees of what others do."""

import asyncio

import pytest

from services.store.folders.view import SEEN
from services.store.user import UserChange
from tests.kit.gate import gate_to
from tests.kit.letters import EXPIRES, LATER, NOW
from tests.kit.office import ANN, Office
from tests.kit.patience import until
from tests.kit.popwire import PopWire
from tests.store.pop3.conftest import Counter, Opening


async def _hide(counter: Counter) -> None:
    await counter.accounts.change(ANN, UserChange(pop3_delete="hide"))


async def _numbers(wire: PopWire) -> list[bytes]:
    return [line.split()[0] for line in (await wire.command(b"LIST")).lines or []]


async def _ids(wire: PopWire) -> list[str]:
    return [line.split()[1].decode() for line in (await wire.command(b"UIDL")).lines or []]


# Deleting


async def test_deleted_letter_is_never_forwarded(counter: Counter) -> None:
    first, second = await counter.office.arrive(2)
    wire = await counter.ann()
    await wire.command(b"DELE 1")
    assert (await counter.office.letter(first))["forward"]["state"] == "pending", "not before QUIT"
    assert (await wire.command(b"QUIT")).is_ok
    gone = await counter.office.letter(first)
    assert (gone["forward"]["state"], gone["binned"]["reason"]) == ("cancelled", "user")
    assert [mark["kind"] for mark in gone["unannounced"]] == ["deleted"]
    kept = await counter.office.letter(second)
    assert kept["forward"]["state"] == "pending"
    assert "binned" not in kept


async def test_who_wants_letters_hidden_keeps_them_and_they_are_still_forwarded(counter: Counter) -> None:
    first, second = await counter.office.arrive(2)
    await _hide(counter)
    wire = await counter.ann()
    await wire.command(b"DELE 1")
    assert (await wire.command(b"QUIT")).is_ok
    assert await _ids(await counter.ann()) == [second]
    letter = await counter.office.letter(first)
    assert letter["forward"]["state"] == "pending"
    assert "binned" not in letter
    inbox = await counter.office.other.folder(ANN, "INBOX")
    async with counter.office.other.opened(inbox) as view:
        assert [row.letter_id for row in view.rows.values()] == [first, second], "IMAP shows it"


async def test_nothing_is_deleted_without_quit(counter: Counter) -> None:
    (letter,) = await counter.office.arrive(1)
    for end in (b"", b"QUIT", b"\r\n" * 30):
        wire = await counter.ann()
        await wire.command(b"DELE 1")
        await wire.send(end)
        wire.close()
        await until(lambda: _left(counter))
    assert "binned" not in await counter.office.letter(letter)
    assert await _ids(await counter.ann()) == [letter]


async def test_a_session_that_is_told_to_end_deletes_nothing(opening: Opening) -> None:
    async with opening() as counter:
        (letter,) = await counter.office.arrive(1)
        wire = await counter.ann()
        await wire.command(b"DELE 1")
        closing = asyncio.ensure_future(counter.door.close())
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        wire.close()
        await closing
        assert "binned" not in await counter.office.letter(letter)


async def test_marks_are_taken_back_by_rset(counter: Counter) -> None:
    await counter.office.arrive(2, raw=b"Subject: x\r\n\r\n")
    wire = await counter.ann()
    await wire.command(b"DELE 2")
    assert (await wire.command(b"STAT")).first == b"+OK 1 14"
    assert (await wire.command(b"RSET")).is_ok
    assert (await wire.command(b"STAT")).first == b"+OK 2 28"
    await wire.command(b"QUIT")
    assert await _numbers(await counter.ann()) == [b"1", b"2"]


async def test_a_letter_in_flight_goes_for_its_reader_at_once(counter: Counter) -> None:
    (letter,) = await counter.office.arrive(1)
    await counter.office.room.claims.claim([letter], "forwarder", "token", NOW)
    wire = await counter.ann()
    await wire.command(b"DELE 1")
    assert (await wire.command(b"QUIT")).is_ok
    assert await _ids(await counter.ann()) == []
    there = await counter.office.letter(letter)
    assert there["forward"]["state"] == "in_flight"
    assert "wish" in there["forward"], "should the try fail, it is the last one"


async def test_thousands_are_deleted_by_one_quit(counter: Counter) -> None:
    ids = await counter.office.arrive(2500)
    wire = await counter.ann()
    await wire.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 2500)))
    assert all([(await wire.line()).startswith(b"+OK") for _ in range(1, 2500)])
    assert (await wire.command(b"QUIT")).is_ok
    assert await _ids(await counter.ann()) == ids[-1:]


# What others do meanwhile


async def test_a_session_sees_the_letters_that_were_there_when_it_began(counter: Counter) -> None:
    ids = await counter.office.arrive(2)
    wire = await counter.ann()
    await counter.office.arrive(1)
    later = await counter.ann()
    assert await _ids(wire) == ids
    assert await _numbers(wire) == [b"1", b"2"]
    assert len(await _ids(later)) == 3
    assert (await wire.command(b"RETR 3")).first.startswith(b"-ERR")


async def test_a_letter_that_is_forwarded_meanwhile_can_still_be_read_and_deleted(counter: Counter) -> None:
    ids = await counter.office.arrive(2, raw=b"Subject: x\r\n\r\nstill here\r\n")
    wire = await counter.ann()
    await _forwarded_and_removed(counter, ids[0])
    later = await counter.ann()
    assert await _ids(later) == ids[1:]
    assert (await wire.command(b"STAT")).first == b"+OK 2 52"
    assert (await wire.command(b"RETR 1")).lines == [b"Subject: x", b"", b"still here"]
    await wire.command(b"DELE 1")
    assert (await wire.command(b"QUIT")).is_ok
    assert (await counter.office.letter(ids[0]))["binned"]["reason"] == "forwarded"


async def test_a_letter_that_is_purged_meanwhile_is_told_to_be_gone(counter: Counter) -> None:
    (letter,) = await counter.office.arrive(1)
    wire = await counter.ann()
    await _forwarded_and_removed(counter, letter)
    await counter.office.room.bodies.release({letter.partition("-")[0]: [letter]})
    for command in (b"RETR 1", b"TOP 1 0"):
        assert (await wire.command(command)).first.startswith(b"-ERR [SYS/TEMP] that letter has gone")
    await wire.command(b"DELE 1")
    assert (await wire.command(b"QUIT")).is_ok


async def test_two_sessions_at_once_may_delete_the_same_letter(counter: Counter) -> None:
    ids = await counter.office.arrive(3)
    one, other = await counter.ann(), await counter.ann()
    for wire, numbers in ((one, (1, 2)), (other, (2, 3))):
        for number in numbers:
            assert (await wire.command(b"DELE %d" % number)).is_ok
    replies = await asyncio.gather(one.command(b"QUIT"), other.command(b"QUIT"))
    assert all(reply.is_ok for reply in replies)
    states = [(await counter.office.letter(letter))["forward"]["state"] for letter in ids]
    assert states == ["cancelled"] * 3


async def test_a_letters_id_outlives_a_move_there_and_back(counter: Counter) -> None:
    (letter,) = await counter.office.arrive(1)
    assert await _ids(await counter.ann()) == [letter]
    cabinet = counter.office.other
    inbox, archive = await cabinet.folder(ANN, "INBOX"), await cabinet.folder(ANN, "Archive")
    for source, to in ((inbox, archive), (archive, inbox)):
        async with cabinet.opened(source) as view:
            await cabinet.move(view, list(view.uids), to)
    assert await _ids(await counter.ann()) == [letter]


# Reading


async def test_retr_marks_as_read_and_top_does_not(counter: Counter) -> None:
    ids = await counter.office.arrive(3)
    wire = await counter.ann()
    await wire.command(b"RETR 1")
    await wire.command(b"TOP 2 10")
    await wire.command(b"QUIT")
    assert [(await counter.office.letter(letter))["flags"] for letter in ids] == [[SEEN], [], []]


async def test_what_was_fetched_is_read_though_the_connection_breaks(counter: Counter) -> None:
    ids = await counter.office.arrive(2)
    wire = await counter.ann()
    await wire.command(b"RETR 2")
    wire.close()

    async def is_seen() -> bool:
        return bool((await counter.office.letter(ids[1]))["flags"] == [SEEN])

    await until(is_seen)
    assert (await counter.office.letter(ids[0]))["flags"] == []


async def test_fetching_in_any_order_gives_each_letters_own_bytes(counter: Counter) -> None:
    for number in range(1, 81):
        await counter.office.arrive(1, raw=b"Subject: %d\r\n\r\n" % number + b"x" * (number % 7 * 20_000) + b"\r\n")
    wire = await counter.ann()
    await wire.command(b"DELE 9")
    order = [*range(1, 9), *range(10, 60), 3, 60, 61, 80, 1, 2, 3, 62, *range(62, 80)]
    for number in order:
        reply = await wire.command(b"RETR %d" % number)
        assert (reply.lines or [])[0] == b"Subject: %d" % number


# The database


async def test_without_the_database_nothing_is_promised_and_the_session_lives(opening: Opening, office: Office) -> None:
    scope = office.scope
    port = int(scope.mongodb_url.partition("//")[2].partition("/")[0].rpartition(":")[2])
    async with gate_to(port) as gate:
        async with opening(mongodb_url=scope.mongodb_url.replace(f":{port}/", f":{gate.port}/")) as counter:
            (letter,) = await counter.office.arrive(1)
            deleting, stranger, reading = await counter.ann(), await counter.stranger(), await counter.ann()
            await deleting.command(b"DELE 1")
            await gate.shut()
            quitting = asyncio.ensure_future(deleting.command(b"QUIT"))
            fetching = asyncio.ensure_future(reading.command(b"RETR 1"))
            await stranger.command(b"USER " + ANN.encode())
            refused = await stranger.command(b"PASS " + b"correct horse")
            for reply in (refused, await quitting, await fetching):
                assert reply.first.startswith(b"-ERR [SYS/TEMP]")
            assert (await reading.command(b"STAT")).is_ok, "what needs no database is answered"
            await gate.open()
            assert "binned" not in await counter.office.letter(letter)

            async def can_fetch() -> bool:
                return (await reading.command(b"RETR 1")).is_ok

            await until(can_fetch)
            await stranger.command(b"USER " + ANN.encode())
            assert (await stranger.command(b"PASS correct horse")).is_ok


@pytest.mark.parametrize("verb", [b"STAT", b"LIST", b"UIDL"])
async def test_a_mailbox_of_many_is_listed_whole(counter: Counter, verb: bytes) -> None:
    await counter.office.arrive(3000)
    reply = await (await counter.ann()).command(verb)
    if reply.lines is None:
        assert reply.first == b"+OK 3000 %d" % (3000 * 18)
    else:
        assert [line.split()[0] for line in reply.lines] == [b"%d" % number for number in range(1, 3001)]


async def _forwarded_and_removed(counter: Counter, letter: str) -> None:
    """As the forwarder and the pruner do it."""
    room = counter.office.room
    await room.claims.claim([letter], "forwarder", "token", NOW)
    await room.end(letter, "deliver")
    await room.removal.remove_copies([letter], LATER, EXPIRES)


async def _left(counter: Counter) -> bool:
    return not counter.door._sessions
