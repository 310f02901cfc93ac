"""Several forwarders, and forwarders that freeze or die: who may send, and who takes over (design rules 5 to 9, 15)."""

import asyncio
from typing import Any

from tests.kit import mainserver
from tests.kit.group import expel_members
from tests.kit.mainserver import Pause, slow
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN = "ann@example.test"
LEASE: dict[str, Any] = {"forwarder_lease_seconds": 3}


async def _freeze_at(system: System, stage: str) -> Pause:
    """A letter that its forwarder has in hand at `stage`, and the forwarder frozen there."""
    system.main.temper = pause = Pause(stage)
    await system.send(letters(1, ANN))
    await asyncio.wait_for(pause.reached.wait(), 20)
    system.process("forwarder").freeze()
    await expel_members(system.scope, "forwarder")
    system.main.temper = mainserver.plain
    return pause


async def test_5_a_forwarder_frozen_past_its_lease_sends_nothing_when_it_wakes(run: Run) -> None:
    async with run(**LEASE) as system:
        await system.add_user(ANN)
        for number, stage in enumerate(("MAIL", "RCPT", "DATA"), 1):
            pause = await _freeze_at(system, stage)
            await system.start("forwarder-2")
            await system.main.has_taken(number)
            pause.go_on.set()
            system.process("forwarder").thaw()
            await asyncio.sleep(2)
            await system.settle()
            assert len(system.main.taken) == number, stage
            await system.process("forwarder-2").stop()
        await system.check(after="a forwarder was frozen past its lease")


async def test_7_a_250_that_a_frozen_forwarder_finds_on_waking_is_recorded(run: Run) -> None:
    async with run(**LEASE) as system:
        await system.add_user(ANN)
        pause = await _freeze_at(system, "KEPT")
        pause.go_on.set()
        system.main.temper = mainserver.refusing("RCPT", b"451 4.0.0 Later")
        await system.start("forwarder-2")
        await system.main.has_begun(2)
        system.process("forwarder").thaw()
        await system.settle()
        (letter,) = (await system.ledger.documents()).values()
        assert letter["forward"]["state"] == "forwarded"
        assert len(system.main.taken) == 1
        await system.check(after="a forwarder was frozen past its lease")


async def test_6_the_letters_of_a_dead_forwarder_are_taken_over_after_a_lease(run: Run) -> None:
    async with run(**LEASE) as system:
        await system.add_user(ANN)
        system.main.temper = pause = Pause("RCPT")
        await system.send(letters(30, ANN))
        await asyncio.wait_for(pause.reached.wait(), 20)
        system.process("forwarder").kill()
        await expel_members(system.scope, "forwarder")
        system.main.temper = mainserver.plain
        await system.start("forwarder-2")
        await system.main.has_taken(30)
        await system.settle()
        assert len(system.main.taken) == 30, "none had reached the final dot"
        await system.check(after="kill -9")


async def test_15_two_forwarders_share_the_work_and_send_each_letter_once(run: Run) -> None:
    async with run("store", "ingest", "pruner") as system:
        await system.add_user(ANN)
        await system.start("forwarder", "forwarder-2")
        system.main.temper = slow(0.01)
        await system.send(letters(600, ANN), connections=5)
        await system.main.has_taken(600)
        await system.settle()
        done = [await _delivered(system, name) for name in ("forwarder", "forwarder-2")]
        assert sum(done) == 600
        assert min(done) > 0, f"one did all: {done}"
        await system.check()


async def _delivered(system: System, name: str) -> float:
    metrics = await system.process(name).metrics()
    return sum(value for key, value in metrics.items() if key.startswith("understudy_forwarded_total{"))


async def test_forwarders_come_and_go_under_load_and_nothing_is_sent_twice(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        system.main.temper = slow(0.02)
        sending = asyncio.ensure_future(system.send(letters(1000, ANN), connections=3))
        for number in (2, 3, 4):
            await system.start(f"forwarder-{number}")
        for name in ("forwarder", "forwarder-3"):
            await system.process(name).stop()
        await sending
        await system.main.has_taken(1000)
        await system.settle()
        await system.check()


async def test_what_a_forwarder_holds_when_told_to_stop_is_finished_or_given_back(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        system.main.temper = slow(0.3)
        await system.send(letters(200, ANN))
        await system.main.has_begun(10)
        await system.restart("forwarder")
        system.main.temper = mainserver.plain
        await system.main.has_taken(200)
        await system.settle()
        await system.check()


async def test_12_a_changed_target_takes_along_what_waits(run: Run) -> None:
    async with run(main_is_away=True) as system, mainserver.MainServer() as other:
        await system.add_user(ANN)
        await system.send(letters(20, ANN))
        await system.ledger.arrive(system.sender)
        await system.api.change_user(ANN, target_server=other.name)
        await other.has_taken(20)
        assert system.main.taken == []

        async def gone() -> bool:
            return await system.api.letters(ANN) == []

        await until(gone, what="the copies' end")
