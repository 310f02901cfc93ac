"""What a person deletes is never forwarded; and a delete never claims more than is true (design, mission S6)."""

import asyncio

import pytest

from tests.kit import mainserver
from tests.kit.api import PASSWORD
from tests.kit.mainserver import Pause, refusing
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System

ANN = "ann@example.test"


async def _kept(system: System, number: int) -> list[str]:
    """Send letters and wait until ann can see them; returns their ids, newest first."""
    await system.send(letters(number, ANN))

    async def seen() -> list[str]:
        found = [letter["id"] for letter in await system.api.letters(ANN)]
        return found if len(found) == number else []

    return await until(seen, what=f"{number} letters in the mailbox")


async def test_deleted_letter_is_never_forwarded(system: System) -> None:
    await system.main.go_away()
    kept = await _kept(system, 20)
    answers = [await system.delete(name) for name in kept[::2]]
    assert set(answers) <= {"cancelled", "in_flight"}
    assert answers.count("cancelled") >= 9, "one at a time tries whether the main server is back"
    await system.main.come_back()
    await system.main.has_taken(10)
    await system.settle()
    taken = {letter.receipt_id for letter in system.main.taken}
    assert not taken & {name[:26] for name in kept[::2]}
    await system.check()


async def test_deleted_letter_stays_readable_in_the_bin(system: System) -> None:
    await system.main.go_away()
    (name,) = await _kept(system, 1)
    raw = await system.api.raw(name)
    answer = await system.api.ask("DELETE", f"/letters/{name}", auth=(ANN, PASSWORD))
    assert answer.json() in ({"forward": "cancelled"}, {"forward": "in_flight"})
    assert await system.api.letters(ANN) == []
    assert await system.api.raw(name) == raw
    assert (await system.api.letter(name))["binned"]["reason"] == "user"
    await system.main.come_back()
    await system.settle()
    await system.check()


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_delete_of_a_letter_in_flight_says_so_and_cancels_when_the_try_fails(system: System, stage: str) -> None:
    system.main.temper = pause = Pause(stage, b"450 4.0.0 Later")
    (name,) = await _kept(system, 1)
    await asyncio.wait_for(pause.reached.wait(), 20)
    assert await system.delete(name) == "in_flight"
    system.main.temper = mainserver.plain
    pause.go_on.set()
    await system.settle()
    assert (await system.api.letter(name))["forward"]["state"] == "cancelled"
    assert system.main.taken == []
    await system.check()


async def test_delete_of_a_letter_in_flight_changes_nothing_when_the_try_succeeds(system: System) -> None:
    system.main.temper = pause = Pause("RCPT", None)
    (name,) = await _kept(system, 1)
    await asyncio.wait_for(pause.reached.wait(), 20)
    assert await system.delete(name) == "in_flight"
    pause.go_on.set()
    await system.main.has_taken(1)
    await system.settle()
    letter = await system.api.letter(name)
    assert (letter["forward"]["state"], letter["binned"]["reason"]) == ("forwarded", "admin")
    assert await system.delete(name) == "in_flight", "asked again, it answers the same"
    await system.check()


async def test_8_delete_after_an_unknown_result_ends_the_letter_and_says_in_flight(system: System) -> None:
    system.main.temper = mainserver.dropping_after_dot
    (name,) = await _kept(system, 1)

    async def deferred() -> bool:
        letter = await system.api.letter(name)
        return bool(letter["forward"]["state"] == "deferred")

    await until(deferred, what="the try's end", pause=0.01)
    assert await system.delete(name) == "in_flight"
    system.main.temper = mainserver.plain
    await system.settle()
    assert len(system.main.taken) <= 2
    await system.check(after="the line broke after the dot")


async def test_delete_of_a_refused_letter_cancels_it(system: System) -> None:
    system.main.temper = refusing("RCPT", b"550 5.1.1 No such user")
    (name,) = await _kept(system, 1)
    await system.main.has_begun(1)
    answer = await system.delete(name)
    system.main.temper = mainserver.plain
    await system.settle()
    assert answer in ("cancelled", "in_flight")
    assert system.main.taken == []
    await system.check()
