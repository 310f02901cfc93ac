"""`make bench`: accept, and accept to forwarded and removed, beside Postfix relaying the same load to the same sink.

Rounds are interleaved and medians quoted: machines are noisy, and a rate from another machine is worth nothing.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.production import NICE_BEHIND_INGEST
from shared.mailbox import connect
from tests.bench.load import LOADS, Sink, cpu_seconds, send, sink
from tests.bench.postfix import Postfix, postfix
from tests.kit.scope import Scope
from tests.kit.servers import Servers, servers
from tests.kit.system import System

SERVICES = ("ingest", "store", "forwarder", "pruner")
REMOVED = "understudy_deleted_total{reason=forwarded}"
PATIENCE_SECONDS = 300.0
WARM_UP_LETTERS = 500


class Figures:
    """Letters a second, by load and side; CPU seconds for 1,000 letters, by process."""

    def __init__(self) -> None:
        self.accept: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.whole: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.cpu: dict[tuple[str, str], list[float]] = defaultdict(list)

    def note(self, load: str, side: str, letters: int, accepted: float, done: float) -> None:
        self.accept[load, side].append(letters / accepted)
        self.whole[load, side].append(letters / done)

    def show(self, console: Console) -> None:
        rates = Table("smtp-source", "accepted a second", "ratio", "kept, forwarded, removed a second", "ratio")
        for load in LOADS:
            if (load, "ours") in self.accept:
                rates.add_row(load, *self._compared(self.accept, load), *self._compared(self.whole, load))
        console.print(rates)
        cpu = Table("CPU seconds for 1,000 letters", *LOADS)
        for process in sorted({process for _, process in self.cpu}):
            cpu.add_row(process, *[f"{statistics.median(self.cpu.get((load, process), [0])):.2f}" for load in LOADS])
        console.print(cpu)

    def _compared(self, rates: dict[tuple[str, str], list[float]], load: str) -> tuple[str, str]:
        ours, theirs = statistics.median(rates[load, "ours"]), statistics.median(rates[load, "postfix"])
        return f"{ours:.0f} / Postfix {theirs:.0f}", f"{ours / theirs:.2f} x"


async def measure_ours(system: System, pair: Servers, load: str, letters: int, figures: Figures) -> None:
    """One round on our side."""
    pids = {name: system.process(name).pid for name in SERVICES} | {"kafka": pair.kafka.pid, "mongod": pair.mongod.pid}
    used = {name: cpu_seconds(pid) for name, pid in pids.items()}
    removed = await system.metric("pruner", REMOVED)
    began = time.monotonic()
    accepted = await asyncio.to_thread(send, load, letters, system.port("smtp"))
    while await system.metric("pruner", REMOVED) < removed + letters:
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError("not all letters were forwarded and removed")
        await asyncio.sleep(0.02)
    figures.note(load, "ours", letters, accepted, time.monotonic() - began)
    for name, pid in pids.items():
        figures.cpu[load, name].append((cpu_seconds(pid) - used[name]) / letters * 1000)


async def measure_postfix(peer: Postfix, target: Sink, load: str, letters: int, figures: Figures) -> None:
    """One round on Postfix's side."""
    before, began = target.letters, time.monotonic()
    accepted = await asyncio.to_thread(send, load, letters, peer.port)
    await asyncio.to_thread(target.wait_for, before + letters, PATIENCE_SECONDS)
    figures.note(load, "postfix", letters, accepted, time.monotonic() - began)


async def bench(pair: Servers, folder: Path, rounds: int, letters: int, loads: list[str]) -> Figures:
    """All rounds of all loads, both sides in turn."""
    figures = Figures()
    scope = Scope.new(pair.kafka.bootstrap, pair.mongod.url)
    await scope.make_topics()
    with sink() as ours, sink() as theirs, postfix(theirs.port) as peer:
        system = System(scope, folder)
        try:
            await system.start("store", "forwarder", "pruner", nice=NICE_BEHIND_INGEST)
            await system.start("ingest")
            await system.api.add_user("ann@example.test", f"127.0.0.1:{ours.port}")
            await measure_ours(system, pair, "-s 20", min(letters, WARM_UP_LETTERS), Figures())
            await measure_postfix(peer, theirs, "-s 20", min(letters, WARM_UP_LETTERS), Figures())
            for _ in range(rounds):
                for load in loads:
                    await measure_ours(system, pair, load, letters, figures)
                    await measure_postfix(peer, theirs, load, letters, figures)
        finally:
            await system.close()
            database = scope.connect()
            await connect.drop(database)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are shown (3)")
    parser.add_argument("--letters", type=int, default=5000, help="letters of 4 KB in each round (5000)")
    parser.add_argument("--load", action="append", choices=list(LOADS), help="one load only; can be repeated")
    wanted = parser.parse_args()
    with (
        servers(mongod_niceness=NICE_BEHIND_INGEST) as pair,
        tempfile.TemporaryDirectory(prefix="understudy-bench-") as folder,
    ):
        figures = asyncio.run(bench(pair, Path(folder), wanted.rounds, wanted.letters, wanted.load or list(LOADS)))
    figures.show(Console(width=120))


if __name__ == "__main__":
    main()
