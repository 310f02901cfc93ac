"""What a million letters that wait for a dead main server cost the others: nothing, but the memory that is shown.

make campaign NAME=flat
"""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from rich.table import Table

from deploy.local.ports import free_port
from deploy.local.production import NICE_BEHIND_INGEST
from tests.bench.load import LOADS, Sink, send, sink
from tests.campaigns.drain import LIVE, as_deployed, fill
from tests.campaigns.stage import Rows, Run, memory_mib, of_rows, on_own_servers, play
from tests.kit.system import System

PART_OF_EMPTY = 0.9
SERVICES = ("ingest", "store", "forwarder", "pruner")


@dataclass(slots=True)
class Rates:
    """Letters a second by load, one for each round."""

    accepted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    removed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


async def waiting_costs_others_nothing(
    run: Run, *, number: int, letters: int, rounds: int, is_promised: bool = True
) -> Rows:
    """Rounds of `letters` for somebody whose main server is there: with nothing else in the house, and with `number`
    letters that wait for a dead one. Fails where less than promised is left."""
    port = free_port()
    with sink() as live:
        async with as_deployed(run, live, port) as system:
            await _measure(system, live, letters, 1)
            empty, memory_empty = await _measure(system, live, letters, rounds), _memory(system)
            await fill(system, port, number)
            # A million come in minutes here and not in hours: what the database has still to write goes first.
            await system.scope.connect().client.admin.command("fsync")
            await _measure(system, live, letters, 1)
            full, memory_full = await _measure(system, live, letters, rounds), _memory(system)
    compared = _compared("accepted", empty.accepted, full.accepted)
    compared += _compared("forwarded and removed", empty.removed, full.removed)
    rows = [(f"{what} a second: empty, full, part", f"{a:.0f}, {b:.0f}, {b / a:.2f}") for what, a, b in compared]
    memory = [
        (f"memory of {name}, MiB: empty, full", f"{memory_empty[name]:.0f}, {memory_full[name]:.0f}")
        for name in SERVICES
    ]
    poor = [what for what, before, after in compared if after < PART_OF_EMPTY * before]
    assert not poor or not is_promised, f"less than {PART_OF_EMPTY} of empty: {poor}\n{rows}"
    return [("letters that wait", number), *rows, *memory]


def _compared(what: str, empty: dict[str, list[float]], full: dict[str, list[float]]) -> list[tuple[str, float, float]]:
    return [(f"{what}, {load}", statistics.median(empty[load]), statistics.median(full[load])) for load in LOADS]


async def _measure(system: System, live: Sink, letters: int, rounds: int) -> Rates:
    rates = Rates()
    for _ in range(rounds):
        for load in LOADS:
            await _one_round(system, live, load, letters, rates)
    return rates


async def _one_round(system: System, live: Sink, load: str, letters: int, rates: Rates) -> None:
    removed = "understudy_deleted_total{reason=forwarded}"
    before, began = await system.metric("pruner", removed), time.monotonic()
    seconds = await asyncio.to_thread(send, load, letters, system.port("smtp"), LIVE)
    async for now in _values(system, removed):
        if now >= before + letters:
            break
        assert time.monotonic() - began < 120 + letters / 100, f"{now - before:.0f} of {letters} letters removed"
    rates.accepted[load].append(letters / seconds)
    rates.removed[load].append(letters / (time.monotonic() - began))


async def _values(system: System, metric: str) -> AsyncIterator[float]:
    while True:
        yield await system.metric("pruner", metric)
        await asyncio.sleep(0.02)


def _memory(system: System) -> dict[str, float]:
    return {name: memory_mib(system.process(name).pid) for name in SERVICES}


async def campaign() -> Table:
    part = partial(waiting_costs_others_nothing, number=1_000_000, letters=3000, rounds=3)
    return of_rows(*await on_own_servers(part, mongod_niceness=NICE_BEHIND_INGEST))


if __name__ == "__main__":
    play("flat", campaign)
