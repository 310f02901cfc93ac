"""Mailboxes that people open with mail programs, while letters come, are forwarded and vanish."""

import asyncio
import poplib
import signal
from collections.abc import AsyncIterator

import pytest

from tests.kit.api import PASSWORD
from tests.kit.imapwire import Answer, Wire
from tests.kit.mainserver import hanging_before_dot, plain
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.servers import Servers
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN = "ann@example.test"


async def opened(system: System, port: str = "imap", folder: str = "INBOX") -> Wire:
    """A connection with the folder selected."""
    wire = await Wire.open(system.port(port))
    for answer in (await wire.login(ANN, PASSWORD), await wire.command(f"SELECT {folder}")):
        assert answer.status == "OK", answer
    return wire


async def ok(wire: Wire, command: str) -> Answer:
    answer = await wire.command(command)
    assert answer.status == "OK", (command, answer)
    return answer


async def keep(system: System, number: int) -> list[str]:
    """New letters that wait, the main server being away; their ids in order of arrival."""
    await system.main.go_away()
    sent = await system.send(letters(number, ANN), connections=1)
    await system.ledger.arrive(system.sender)
    ours = {one.receipt_id for one in sent}
    return sorted(letter["id"] for letter in await system.api.letters(ANN) if letter["receipt_id"] in ours)


@pytest.fixture
async def empty(system: System) -> AsyncIterator[System]:
    """The product, with nothing in Ann's folders at the end."""
    yield system
    system.main.temper = plain
    await system.main.come_back()
    await system.settle()


async def _state(system: System, letter_id: str) -> str:
    state: str = (await system.api.letter(letter_id))["forward"]["state"]
    return state


async def test_deleted_flag_alone_cancels_nothing(empty: System) -> None:
    (letter,) = await keep(empty, 1)
    async with await opened(empty) as wire:
        await ok(wire, "STORE * +FLAGS (\\Deleted)")
        await ok(wire, "UNSELECT")
    assert await _state(empty, letter) in ("pending", "deferred", "in_flight")
    await empty.main.come_back()
    await empty.main.has_taken(1)


@pytest.mark.parametrize(
    "commands",
    [
        ("STORE * +FLAGS.SILENT (\\Deleted)", "EXPUNGE"),
        ("STORE * +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1:*"),
        ("STORE * +FLAGS.SILENT (\\Deleted)", "CLOSE"),
        ("MOVE * Trash",),
    ],
    ids=["expunge", "uid-expunge", "close", "trash"],
)
async def test_what_is_deleted_by_a_mail_program_is_never_forwarded(empty: System, commands: tuple[str, ...]) -> None:
    (letter,) = await keep(empty, 1)
    async with await opened(empty) as wire:
        for command in commands:
            await ok(wire, command)
    empty.ledger.deleted[letter] = "cancelled"
    assert await _state(empty, letter) == "cancelled"
    await empty.main.come_back()
    await empty.settle()
    assert not empty.main.taken
    await empty.check()


async def test_what_pop3_deletes_is_never_forwarded_and_what_it_hides_is(empty: System) -> None:
    first, second = await keep(empty, 2)

    def fetch_and_delete(number: int) -> int:
        program = poplib.POP3("127.0.0.1", empty.port("pop3"), timeout=20)
        program.user(ANN)
        program.pass_(PASSWORD)
        left = len(program.list()[1])
        program.retr(number)
        program.dele(number)
        program.quit()
        return left

    assert await asyncio.to_thread(fetch_and_delete, 1) == 2
    assert await _state(empty, first) == "cancelled"
    empty.ledger.deleted[first] = "cancelled"
    await empty.api.change_user(ANN, pop3_delete="hide")
    try:
        assert await asyncio.to_thread(fetch_and_delete, 1) == 1
        assert await _state(empty, second) != "cancelled"
        async with await opened(empty) as wire:
            assert b"SEARCH 1" in (await ok(wire, "SEARCH ALL")).untagged, "other doors show it"
    finally:
        await empty.api.change_user(ANN, pop3_delete="delete")
    await empty.main.come_back()
    await empty.main.has_taken(1)
    await empty.settle()
    await empty.check()


async def test_a_move_back_out_of_trash_is_forwarded_after_all(empty: System) -> None:
    (letter,) = await keep(empty, 1)
    async with await opened(empty) as wire:
        await ok(wire, "MOVE * Trash")
        await ok(wire, "SELECT Trash")
        assert b"$ForwardCancelled" in (await ok(wire, "FETCH * (FLAGS)")).untagged[-1]
        assert await _state(empty, letter) == "cancelled"
        await ok(wire, "MOVE * INBOX")
    await empty.main.come_back()
    await empty.main.has_taken(1)
    await empty.settle()
    await empty.check()


async def test_a_letter_in_flight_when_it_is_deleted_goes_at_once_and_is_cancelled_if_its_try_fails(
    empty: System,
) -> None:
    empty.main.temper = hanging_before_dot
    await empty.send(letters(1, ANN))
    await empty.main.has_begun(1)
    async with await opened(empty) as wire:
        await ok(wire, "STORE * +FLAGS.SILENT (\\Deleted)")
        assert b"1 EXPUNGE" in (await ok(wire, "EXPUNGE")).untagged
    (letter,) = [i for i in await empty.ledger.documents() if i.startswith(str(empty.sender.sent[-1].receipt_id))]
    assert await _state(empty, letter) == "in_flight"
    await empty.main.go_away()
    empty.main.temper = plain

    async def is_cancelled() -> bool:
        return await _state(empty, letter) == "cancelled"

    await until(is_cancelled, what="the try's failure")
    await empty.main.come_back()
    await empty.settle()
    assert not empty.main.taken


async def test_what_is_forwarded_vanishes_from_every_session(empty: System) -> None:
    await keep(empty, 3)
    idler, other = await opened(empty), await opened(empty)
    async with idler, other:
        await ok(other, "FETCH 1 (BODY.PEEK[])")
        await idler.send(b"i IDLE\r\n")
        await idler.hears(b"idling")
        await empty.main.come_back()
        for _ in range(3):
            assert (await idler.hears(b"EXPUNGE")).status == "HEARD"
        await empty.settle()
        answer = await ok(other, "NOOP")
        assert sum(line.endswith(b"EXPUNGE") for line in answer.untagged) == 3


async def test_idle_hears_in_one_store_what_another_took_in_and_what_was_deleted_there(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        await system.start("store-2")
        await system.main.go_away()
        async with await opened(system, "imap-2") as wire, await opened(system) as there:
            await wire.send(b"i IDLE\r\n")
            await wire.hears(b"idling")
            await system.send(letters(2, ANN), connections=1)
            assert (await wire.hears(b"EXISTS")).status == "HEARD"
            await system.ledger.arrive(system.sender)
            await ok(there, "NOOP")
            await ok(there, "STORE 1 +FLAGS (\\Flagged)")
            assert b"\\Flagged" in (await wire.hears(b"\\Flagged")).untagged[0]
            await ok(there, "STORE 1 +FLAGS.SILENT (\\Deleted)")
            await ok(there, "EXPUNGE")
            assert (await wire.hears(b"EXPUNGE")).untagged[0] == b"1 EXPUNGE"


@pytest.mark.parametrize("place", ["store.before_apply", "store.before_finish"])
async def test_a_store_that_dies_in_the_middle_of_a_job_leaves_a_folder_that_others_finish(
    run: Run, place: str
) -> None:
    async with run(main_is_away=True) as system:
        await system.add_user(ANN)
        await system.start("store-2", failpoints=f"{place}=kill@3")
        await keep(system, 5)
        async with await opened(system, "imap-2") as wire:
            await wire.command("STORE 1:3 +FLAGS (\\Flagged)")
            await wire.command("STORE 4 +FLAGS (\\Seen)")
            assert (await wire.command("STORE 5 +FLAGS (\\Seen)")).status == "CLOSED"
        assert await system.process("store-2").has_ended() == -signal.SIGKILL
        async with await opened(system) as wire:
            assert b"5 EXISTS" in (await ok(wire, "SELECT INBOX")).untagged
            await ok(wire, "STORE 5 -FLAGS (\\Seen)")
            assert b"SEARCH 1 2 3" in (await ok(wire, "SEARCH FLAGGED")).untagged
            assert b"SEARCH 1 2 3 5" in (await ok(wire, "SEARCH UNSEEN")).untagged
        await system.main.come_back()
        await system.settle()
        await system.check()


async def test_while_the_database_is_away_the_session_lives_and_nothing_wrong_is_answered(
    run_on_own: Run, own_servers: Servers
) -> None:
    async with run_on_own(main_is_away=True) as system:
        await system.add_user(ANN)
        await keep(system, 2)
        async with await opened(system) as wire:
            await asyncio.to_thread(own_servers.mongod.stop)
            try:
                answer = await wire.command("STORE 1 +FLAGS (\\Seen)")
                assert (answer.status, b"[UNAVAILABLE]" in answer.tagged) == ("NO", True), answer
                assert (await wire.command("CAPABILITY")).status == "OK"
                async with await Wire.open(system.port("imap")) as other:
                    answer = await other.login(ANN, PASSWORD)
                    assert (answer.status, b"[UNAVAILABLE]" in answer.tagged) == ("NO", True), answer
            finally:
                await asyncio.to_thread(own_servers.mongod.start)

            async def is_back() -> bool:
                return (await wire.command("NOOP")).status == "OK"

            await until(is_back, what="an answer of OK")
            assert (await wire.command("STORE 2 +FLAGS (\\Seen)")).status == "OK"
            assert b"\\Seen" in (await ok(wire, "FETCH 2 (FLAGS)")).untagged[-1]
        await system.main.come_back()
        await system.settle()
