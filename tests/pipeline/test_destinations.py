"""A main server that is away, back, or refuses everything: what becomes of the destination and of what waits for it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.kit.mainserver import MainServer, plain, refusing, refusing_recipient
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN, BOB = "ann@example.test", "bob@example.test"


@pytest.fixture
async def impatient(run: Run) -> AsyncIterator[System]:
    """A second refusal is believed after two seconds."""
    async with run(believe_seconds=2) as system:
        await system.add_user(ANN)
        await system.add_user(BOB)
        yield system


async def _destination(system: System) -> dict[str, Any]:
    found: dict[str, Any] = await system.api.get(f"/destinations/{system.main.name}")
    return found


async def _act(system: System, deed: str) -> dict[str, Any]:
    answer = await system.api.ask("POST", f"/destinations/{system.main.name}/{deed}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def _becomes(system: System, state: str) -> dict[str, Any]:
    async def is_so() -> bool:
        return bool((await _destination(system))["state"] == state)

    await until(is_so, within=30, what=f"the destination's being {state}")
    return await _destination(system)


async def _all_are(system: System, address: str, state: str, number: int) -> list[dict[str, Any]]:
    async def are() -> bool:
        found = await system.api.letters(address)
        return len(found) == number and all(letter["forward"]["state"] == state for letter in found)

    await until(are, within=30, what=f"{number} letters of {address} being {state}")
    return await system.api.letters(address)


async def test_a_dead_destination_is_probed_and_its_letters_are_left_alone(system: System) -> None:
    await system.main.go_away()
    await system.send(letters(50, ANN))
    down = await _becomes(system, "down")
    assert down["waiting"] == 50
    assert down["last_reply"]["code"] == 0
    assert [step["state"] for step in down["history"][-2:]] == ["failing", "down"]
    shown = await system.api.letters(ANN)
    assert {letter["forward"]["waits_for"] for letter in shown} == {"destination"}
    assert sum(letter["forward"]["attempts"] for letter in shown) <= 4
    await system.restart("forwarder")
    assert (await _destination(system))["state"] == "down"
    await system.main.come_back()
    await system.main.has_taken(50)
    await system.settle()
    assert (await _becomes(system, "up"))["waiting"] == 0
    await system.check()


async def test_a_server_that_refuses_everything_costs_no_mail(system: System) -> None:
    system.main.temper = refusing("RCPT", b"550 5.1.1 No such user")
    await system.send(letters(30, ANN))
    suspended = await _becomes(system, "suspended")
    assert suspended["suspended_by"] == "breaker"
    assert (await system.api.get("/status"))["parked"] == 0
    await system.main.go_away()
    system.main.temper = plain
    await system.main.come_back()
    await system.main.has_taken(30)
    await system.settle()
    await _becomes(system, "up")
    await system.check()


async def test_nothing_is_sent_to_what_a_person_has_suspended_until_he_resumes_it(system: System) -> None:
    assert (await _act(system, "suspend"))["suspended_by"] == "person"
    # The forwarders hear of it within a second.
    await asyncio.sleep(1)
    await system.send(letters(10, ANN))
    shown = await _all_are(system, ANN, "pending", 10)
    assert {letter["forward"]["waits_for"] for letter in shown} == {"destination"}
    assert (await _act(system, "probe"))["last_reply"]["code"] == 250
    assert system.main.transactions == 0
    await _act(system, "resume")
    await system.main.has_taken(10)
    await system.settle()
    history = (await _becomes(system, "up"))["history"]
    assert [step["by"] for step in history if step["state"] == "suspended"][-1] == "admin"
    await system.check()


async def test_a_refusal_is_believed_when_others_are_taken_and_parked_letters_can_be_armed_again(
    impatient: System,
) -> None:
    system = impatient
    system.main.temper = refusing_recipient("ann", b"550 5.1.1 No such user")
    await system.send(letters(2, ANN))

    async def others_are_taken() -> bool:
        await system.send(letters(1, BOB))
        found = await system.api.letters(ANN)
        return {letter["forward"]["state"] for letter in found} == {"parked"}

    await until(others_are_taken, within=30, pause=0.5, what="the refusal's being believed")
    system.main.temper = plain
    answer = await system.api.ask("POST", f"/users/{ANN}/forward-now", params={"parked": True})
    assert answer.json() == {"letters": 2}
    await system.settle()
    await system.check()


async def test_a_lifetime_ends_also_while_the_destination_is_away(run: Run) -> None:
    async with run(lifetime_days=3 / 86400) as system:
        await system.add_user(ANN)
        await system.main.go_away()
        await system.send(letters(5, ANN))
        shown = await _all_are(system, ANN, "parked", 5)
        assert {letter["forward"]["waits_for"] for letter in shown} == {None}
        await system.settle()
        await system.check()


async def test_one_wrong_password_does_not_stop_the_letters_of_others(run: Run) -> None:
    async with run(breaker_test_seconds=60) as system:
        system.main.login = ("relay", "right")
        await system.add_user(ANN, main=f"relay:wrong@{system.main.name}")
        await system.add_user(BOB, main=f"relay:right@{system.main.name}")
        await system.send(letters(5, ANN))
        await system.send(letters(20, BOB))
        await system.main.has_taken(20)
        held = await _all_are(system, ANN, "deferred", 5)
        assert any((letter["forward"]["last_reply"] or {}).get("code") == 535 for letter in held)
        assert (await _becomes(system, "up"))["suspended_by"] is None
        await system.api.change_user(ANN, target_server=f"relay:right@{system.main.name}")
        await system.settle()
        await system.check()


async def test_the_limit_of_connections_holds_over_all_forwarders_together(run: Run) -> None:
    async with run(destination_connections=3) as system:
        await system.add_user(ANN)
        await system.start("forwarder-2")
        most = _MostAtOnce(system.main)
        system.main.temper = most
        await system.send(letters(300, ANN))
        await system.main.has_taken(300)
        await system.settle()
        assert 1 <= most.seen <= 3
        await system.check()


class _MostAtOnce:
    """A temper that counts letters being sent at the same time."""

    def __init__(self, main: MainServer) -> None:
        self._main = main
        self._now = 0
        self.seen = 0

    async def __call__(self, stage: str, said: bytes) -> bytes | None:
        if stage == "MAIL":
            self._now += 1
            self.seen = max(self.seen, self._now)
        if stage == "KEPT":
            self._now -= 1
        return None
