"""The events do the work: on events alone letters go through, plans are emptied, copies vanish. And where events were
lost, the looks at the database do the same, later."""

import asyncio
import time
from functools import partial

from shared.bus import topics
from shared.bus.tail import Tail
from shared.settings import Common
from tests.kit.experiment import Figures, Ground, conduct
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.kit.sender import letters
from tests.kit.system import System

ANN = "ann@example.test"
HOUR = 3600


async def events_alone(ground: Ground, *, number: int = 1000) -> Figures:
    """With the looks at the backlog switched off, everything goes through on events."""
    figures = Figures("Events alone: no look at the backlog, nothing reconciled")
    async with ground.run(backlog_scan=False, reconcile_seconds=HOUR) as system:
        await system.add_user(ANN)
        began = time.monotonic()
        await system.send(letters(number, ANN), connections=20)
        await system.main.has_taken(number)
        figures.note("letters forwarded", len(system.main.taken))
        await system.settle()
        figures.note("seconds until every copy was gone", time.monotonic() - began)
        await system.check()
    return figures


async def deletes_empty_plans(ground: Ground, *, number: int = 1000) -> Figures:
    """`deleted` takes letters out of a forwarder's plan before any claim looks at them."""
    figures = Figures("Plans full, then everything deleted")
    async with ground.run(backlog_scan=False, retry_seconds=HOUR, main_is_away=True) as system:
        await system.add_user(ANN)
        await system.send(letters(number, ANN), connections=20)
        await until(lambda: _planned_is(system, number - 1), what="plans full")
        figures.note("letters planned", await _planned(system))
        began = time.monotonic()
        kept = await system.api.letters(ANN)
        answers = await _delete_all(system, [letter["id"] for letter in kept])
        figures.note("answered cancelled", answers.count("cancelled"))
        await until(lambda: _planned_is(system, 0), what="plans empty")
        figures.note("letters planned after", await _planned(system))
        figures.note("seconds for deletes and empty plans", time.monotonic() - began)
        assert await _attempts(system) <= 1, "only the first letter was to be tried"
        await system.main.come_back()
        await system.check()
    return figures


async def _planned(system: System) -> float:
    return await system.metric("forwarder", "understudy_planned_letters")


async def _planned_is(system: System, number: int) -> bool:
    """So many are planned, but for the one letter that finds the main server away."""
    return abs(await _planned(system) - number) <= 1


async def _delete_all(system: System, names: list[str]) -> list[str]:
    at_once = asyncio.Semaphore(10)

    async def delete(name: str) -> str:
        async with at_once:
            return await system.delete(name)

    return await asyncio.gather(*(delete(name) for name in names))


async def _attempts(system: System) -> int:
    return sum(d["forward"]["attempts"] for d in (await system.ledger.documents()).values())


async def pruner_stopped(ground: Ground, *, number: int = 1000) -> Figures:
    """Nobody else takes a forwarded copy away."""
    figures = Figures("Pruner stopped: forwarded copies stay until it is back")
    async with ground.run("store", "ingest", "forwarder", reconcile_seconds=HOUR) as system:
        await system.add_user(ANN)
        await system.send(letters(number, ANN), connections=20)
        await system.main.has_taken(number)
        await until(lambda: _copies_are(system, number), what="every letter forwarded and its copy there")
        await asyncio.sleep(2)
        assert await _copies_are(system, number)
        figures.note("forwarded copies still there", number)
        began = time.monotonic()
        await system.start("pruner")
        await system.settle()
        figures.note("seconds from its start to the last copy gone", time.monotonic() - began)
        assert await system.api.letters(ANN) == []
        await system.check()
    return figures


async def _copies_are(system: System, number: int) -> bool:
    return len(await system.api.letters(ANN, forward="forwarded")) == number


async def events_lost(ground: Ground, *, number: int = 1000) -> Figures:
    """With `stored` and then `forwarded` emptied before anybody read them, looks at the database do the work."""
    figures = Figures("Events lost: topics emptied before they were read")
    settings = ground.scope.settings(Common)
    async with ground.run("store", "ingest", reconcile_seconds=2) as system:
        await system.add_user(ANN)
        await system.send(letters(number, ANN), connections=20)
        await until(lambda: _are_stored(system, number), what="letters in the mailbox")
        await empty_topic(ground.scope, settings, "stored")
        began = time.monotonic()
        await system.start("forwarder")
        await system.main.has_taken(number)
        figures.note("seconds to forward them without `stored`", time.monotonic() - began)
        await until(lambda: _copies_are(system, number), what="outcomes written down")
        await system.process("forwarder").stop()
        await empty_topic(ground.scope, settings, "forwarded")
        began = time.monotonic()
        await system.start("pruner")
        await system.start("forwarder")
        await system.settle()
        figures.note("seconds to take copies away without `forwarded`", time.monotonic() - began)
        found = await system.metric("forwarder", "understudy_reconciler_found_total{kind=copy_due}")
        figures.note("found by the reconciler", int(found))
        assert found == number
        await system.check(after="events lost")
        assert len(system.main.taken) == number, "lost events must not repeat a letter"
    return figures


async def _are_stored(system: System, number: int) -> bool:
    return len(await system.api.letters(ANN)) == number


async def empty_topic(scope: Scope, settings: Common, topic: str) -> None:
    """Lose every event of `topic`."""
    async with Tail(settings, [topic]) as tail:
        ends = (await tail.ends())[topic]
    await topics.trim(settings, topic, {number: end for number, end in ends.items() if end})


if __name__ == "__main__":
    conduct(*(partial(part, number=1000) for part in (events_alone, deletes_empty_plans, pruner_stopped, events_lost)))
