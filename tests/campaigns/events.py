"""The events do the work: on events alone letters go through, plans are emptied, copies vanish. And where events were
lost, the looks at the database do the same, later.

make campaign NAME=events
"""

import asyncio
import time
from functools import partial

from rich.table import Table

from shared.bus import topics
from shared.bus.tail import Tail
from shared.settings import Common
from tests.campaigns.stage import ANN, Rows, Run, of_rows, on_own_servers, play
from tests.kit.mainserver import greeting_never, plain
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System

HOUR = 3600


async def events_alone(run: Run, *, number: int) -> Rows:
    """With the looks at the backlog switched off, everything goes through on events."""
    rows: Rows = []
    async with run(backlog_scan=False, reconcile_seconds=HOUR) as system:
        await system.add_user(ANN)
        began = time.monotonic()
        await system.send(letters(number, ANN), connections=20)
        await system.main.has_taken(number)
        rows.append(("letters forwarded", len(system.main.taken)))
        await system.settle()
        rows.append(("seconds until every copy was gone", time.monotonic() - began))
        await system.check()
    return rows


async def deletes_empty_plans(run: Run, *, number: int) -> Rows:
    """`deleted` takes letters out of a forwarder's plan before any claim looks at them."""
    rows: Rows = []
    async with run(backlog_scan=False) as system:
        await system.add_user(ANN)
        # One letter goes to see whether anybody is there, and hears nothing; the others wait for it.
        system.main.temper = greeting_never
        await system.send(letters(number, ANN), connections=20)
        await until(lambda: _planned_is(system, number - 1), what="plans full")
        rows.append(("letters planned", await _planned(system)))
        began = time.monotonic()
        kept = await system.api.letters(ANN)
        answers = await _delete_all(system, [letter["id"] for letter in kept])
        rows.append(("answered cancelled", answers.count("cancelled")))
        await until(lambda: _planned_is(system, 0), what="plans empty")
        rows.append(("letters planned after", await _planned(system)))
        rows.append(("seconds for deletes and empty plans", time.monotonic() - began))
        assert await _attempts(system) <= 1, "only the first letter was to be tried"
        assert len(answers) - answers.count("cancelled") <= 1, "only the first letter was under way"
        await system.main.go_away()
        system.main.temper = plain
        await system.settle()
        await system.check()
    return rows


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


async def pruner_stopped(run: Run, *, number: int) -> Rows:
    """Nobody else takes a forwarded copy away."""
    rows: Rows = []
    async with run("store", "ingest", "forwarder", reconcile_seconds=HOUR) as system:
        await system.add_user(ANN)
        await system.send(letters(number, ANN), connections=20)
        await system.main.has_taken(number)
        await until(lambda: _copies_are(system, number), what="every letter forwarded and its copy there")
        await asyncio.sleep(2)
        assert await _copies_are(system, number)
        rows.append(("forwarded copies still there", number))
        began = time.monotonic()
        await system.start("pruner")
        await system.settle()
        rows.append(("seconds from its start to the last copy gone", time.monotonic() - began))
        assert await system.api.letters(ANN) == []
        await system.check()
    return rows


async def _copies_are(system: System, number: int) -> bool:
    return len(await system.api.letters(ANN, forward="forwarded")) == number


async def events_lost(run: Run, *, number: int) -> Rows:
    """With `stored` and then `forwarded` emptied before anybody read them, looks at the database do the work."""
    rows: Rows = []
    async with run("store", "ingest", reconcile_seconds=2) as system:
        await system.add_user(ANN)
        await system.send(letters(number, ANN), connections=20)
        await until(lambda: _are_stored(system, number), what="letters in the mailbox")
        await empty_topic(system, "stored")
        began = time.monotonic()
        await system.start("forwarder")
        await system.main.has_taken(number)
        rows.append(("seconds to forward them without `stored`", time.monotonic() - began))
        await until(lambda: _copies_are(system, number), what="outcomes written down")
        await system.process("forwarder").stop()
        await empty_topic(system, "forwarded")
        began = time.monotonic()
        await system.start("pruner")
        await system.start("forwarder")
        await system.settle()
        rows.append(("seconds to take copies away without `forwarded`", time.monotonic() - began))
        found = await system.metric("forwarder", "understudy_reconciler_found_total{kind=copy_due}")
        rows.append(("found by the reconciler", int(found)))
        assert found == number
        await system.check(after="events lost")
        assert len(system.main.taken) == number, "lost events must not repeat a letter"
    return rows


async def _are_stored(system: System, number: int) -> bool:
    return len(await system.api.letters(ANN)) == number


async def empty_topic(system: System, topic: str) -> None:
    """Lose every event of `topic`."""
    settings = system.scope.settings(Common)
    async with Tail(settings, [topic]) as tail:
        ends = (await tail.ends())[topic]
    await topics.trim(settings, topic, {number: end for number, end in ends.items() if end})


async def campaign() -> Table:
    rows: Rows = []
    for part in (events_alone, deletes_empty_plans, pruner_stopped, events_lost):
        rows += await on_own_servers(partial(part, number=1000))
    return of_rows(*rows)


if __name__ == "__main__":
    play("events", campaign)
