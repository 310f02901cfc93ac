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
            await _measure(system, live, letters, 1)
            full, memory_full = await _measure(system, live, letters, rounds), _memory(system)
    rows: Rows = [("letters that wait", number)]
    for what, before, after in (
        ("accepted", empty.accepted, full.accepted),
        ("forwarded and removed", empty.removed, full.removed),
    ):
        for load in LOADS:
            rates = statistics.median(before[load]), statistics.median(after[load])
            part = rates[1] / rates[0]
            assert part >= PART_OF_EMPTY or not is_promised, f"{what}, {load}: {part:.2f} of empty"
            rows.append((f"{what} a second, {load}: empty, full, part", f"{rates[0]:.0f}, {rates[1]:.0f}, {part:.2f}"))
    return rows + [
        (f"memory of {name}, MiB: empty, full", f"{memory_empty[name]:.0f}, {memory_full[name]:.0f}")
        for name in SERVICES
    ]


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
