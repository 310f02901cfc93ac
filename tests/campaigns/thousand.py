"""A dead or slow destination costs the others nothing: a thousand main servers, and what the letters of the live half
wait once the other half is gone.

make campaign NAME=thousand
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from tests.bench.load import cpu_seconds
from tests.campaigns.stage import Rows, Run, on_own_servers, play
from tests.kit.api import target_of
from tests.kit.mainserver import MainServer
from tests.kit.misbehaviours import Misbehaviour, each_connection, greets_never, is_a_black_hole, refuses
from tests.kit.patience import until
from tests.kit.sender import letter
from tests.kit.session import Session
from tests.kit.system import System

# As the product comes, whatever the tests have shortened, but for the patience with a server that says nothing: with
# that of RFC 5321, three times 5 minutes, it would be down long after the campaign.
AS_SHIPPED = {"probe_seconds": 5, "retry_seconds": 300, "breaker_test_seconds": 900, "command_seconds": 10}
CONNECTIONS = 40
LOOK_SECONDS = 0.5
TAKEN_SECONDS = 120.0
# Of what the live half has while all are alive.
PART_KEPT = 0.8
# A 95th percentile of some hundredths of a second is noise.
NOISE_SECONDS = 0.1
# Some sessions that fail, each after 10 s, on a machine that may be busy.
DEATH_SECONDS = 90.0
# One letter after another until it is trusted, after a probe each 5 s.
RETURN_SECONDS = 120.0


@each_connection
async def answers_a_byte_a_second(session: Session) -> None:
    """Is never silent for long."""
    session.voice, session.between_pieces_seconds = _single_bytes, 1.0
    await session.play()


def _single_bytes(reply: bytes) -> Iterable[bytes]:
    return (reply[at : at + 1] for at in range(len(reply)))


DEATHS: tuple[Misbehaviour, ...] = (refuses, is_a_black_hole, greets_never, answers_a_byte_a_second)


@dataclass(slots=True)
class Town:
    """A user for each main server; what these take is in the books of `system.main`. Every second one will die."""

    system: System
    servers: list[MainServer] = field(default_factory=list)

    @property
    def living(self) -> range:
        return range(0, len(self.servers), 2)

    @property
    def dying(self) -> range:
        return range(1, len(self.servers), 2)

    def address(self, number: int) -> str:
        """The user of the server `number`."""
        return f"user-{number}@example.test"

    async def settle_in(self, number: int) -> None:
        main = self.system.main
        self.servers = [MainServer(taken=main.taken, changed=main.changed) for _ in range(number)]
        for server in self.servers:
            await server.come_back()
        addresses = [self.address(at) for at in range(number)]
        targets = zip(addresses, map(target_of, addresses), [server.name for server in self.servers], strict=True)
        lines = ["address,mode,target_address,target_server"]
        lines += [f"{address},store_and_forward,{target},{name}" for address, target, name in targets]
        headers = {"Content-Type": "text/csv"}
        response = await self.system.api.ask("POST", "/users/bulk", content="\n".join(lines), headers=headers)
        assert response.json().get("ok") == number, response.text[:1000]

    async def half_dies(self) -> None:
        """Some in each way. Open connections are cut: nothing is under way on them."""
        for number, die in zip(self.dying, cycle(DEATHS), strict=False):
            await self.servers[number].go_away()
            await self.servers[number].come_back()
            await die(self.servers[number])

    async def come_alive(self) -> None:
        for number in self.dying:
            await self.servers[number].go_away()
            await self.servers[number].behave()

    async def close(self) -> None:
        for server in self.servers:
            await server.go_away()


@dataclass(slots=True)
class Watch:
    """The most that a process has had while it was watched."""

    pid: int
    memory_mib: float = 0.0
    threads: int = 0
    files: int = 0

    async def keep(self) -> None:
        """Look until cancelled."""
        while True:
            self._look(Path(f"/proc/{self.pid}"))
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self, process: Path) -> None:
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        self.memory_mib = max(self.memory_mib, int(fields["VmRSS"].split()[0]) / 1024)
        self.threads = max(self.threads, int(fields["Threads"]))
        self.files = max(self.files, sum(1 for _ in (process / "fd").iterdir()))


@dataclass(frozen=True, slots=True)
class Figures:
    """One part of the campaign, as the living see it. Waits are from our 250 to the main server's having the letter;
    `cpu_per_thousand` are the forwarder's seconds for all it did meanwhile, the dead's and the dying's included."""

    letters: int
    rate: float
    median: float
    late: float
    cpu_per_thousand: float
    watch: Watch


Part = Callable[[], Awaitable[Figures]]
FIGURES: dict[str, Callable[[Figures], str]] = {
    "letters": lambda f: str(f.letters),
    "letters a second": lambda f: f"{f.rate:.0f}",
    "median wait, seconds": lambda f: f"{f.median:.3f}",
    "95 of 100 waited at most, seconds": lambda f: f"{f.late:.3f}",
    "forwarder's CPU seconds per 1,000 letters": lambda f: f"{f.cpu_per_thousand:.2f}",
    "forwarder's memory, MiB": lambda f: f"{f.watch.memory_mib:.0f}",
    "forwarder's threads": lambda f: str(f.watch.threads),
    "forwarder's open files": lambda f: str(f.watch.files),
}


async def half_of_them_die(
    run: Run, *, destinations: int, each: int, pause_seconds: float, idle_seconds: float, **settings: Any
) -> tuple[dict[str, Figures], Rows]:
    """`each` letters to every destination as a steady stream and as many at once, while all are alive and while half
    are dead. Fails where a letter is lost, or where the dead are not known to be."""
    async with run(**{**AS_SHIPPED, **settings}) as system:
        town = Town(system)
        try:
            await town.settle_in(destinations)
            play_part = partial(_play_part, town, iter(range(10_000_000)), each)
            idle_cost = partial(_idle_cost, system, idle_seconds)
            return await _story(town, partial(play_part, pause_seconds), partial(play_part, 0.0), idle_cost)
        finally:
            await town.close()


async def _story(
    town: Town, steadily: Part, at_once: Part, idle_cost: Callable[[], Awaitable[float]]
) -> tuple[dict[str, Figures], Rows]:
    system = town.system
    columns = {"all alive, steady": await steadily(), "all alive, at once": await at_once()}
    await system.settle(within=120)
    cost_alive = await idle_cost()
    await town.half_dies()
    columns["half dying, steady"] = await steadily()
    await until(partial(_are_down, town), within=DEATH_SECONDS, pause=0.5, what="the dead being down")
    columns |= {"half dead, steady": await steadily(), "half dead, at once": await at_once()}
    rows: Rows = [
        ("all alive and idle: forwarder, % of a core", 100 * cost_alive),
        ("half dead and idle: forwarder, % of a core", 100 * await idle_cost()),
        ("half dead: letters that wait for them", await _waiting(system)),
    ]
    rows += await _all_come_alive(town)
    await system.check()
    return columns, rows


async def _play_part(town: Town, numbers: Iterator[int], each: int, pause_seconds: float) -> Figures:
    """`each` letters to every user, in no order; returns when the living have theirs."""
    system = town.system
    forwarder = system.process("forwarder").pid
    recipients = [town.address(number) for number in range(len(town.servers))] * each
    random.shuffle(recipients)
    system.sender.pause_seconds = pause_seconds
    watch = Watch(forwarder)
    watching, before = asyncio.ensure_future(watch.keep()), cpu_seconds(forwarder)
    try:
        tries = await system.send([letter(next(numbers), one) for one in recipients], connections=CONNECTIONS)
        living = {town.address(number) for number in town.living}
        sent = {one.receipt_id or "": one.at for one in tries if one.letter.recipients[0] in living}
        taken = await _taken(system, sent.keys())
        return _figures(sent, taken, cpu_seconds(forwarder) - before, watch)
    finally:
        watching.cancel()


async def _taken(system: System, receipts: Collection[str]) -> dict[str, float]:
    """When each was at its main server."""

    async def all_there() -> dict[str, float]:
        found = {one.receipt_id: one.at for one in system.main.taken if one.receipt_id in receipts}
        return found if len(found) == len(receipts) else {}

    return await until(all_there, within=TAKEN_SECONDS, pause=0.2, what="the living's having all of theirs")


def _figures(sent: dict[str, float], taken: dict[str, float], cpu: float, watch: Watch) -> Figures:
    waits = sorted(max(0.0, taken[receipt] - at) for receipt, at in sent.items())
    return Figures(
        letters=len(waits),
        rate=len(waits) / (max(taken.values()) - min(taken.values())),
        median=statistics.median(waits),
        late=waits[int(len(waits) * 0.95)],
        cpu_per_thousand=1000 * cpu / len(waits),
        watch=watch,
    )


async def _idle_cost(system: System, seconds: float) -> float:
    """The part of a processor that the forwarder takes while nothing is sent."""
    forwarder = system.process("forwarder").pid
    # Connections that nobody needs any more are closed first.
    await asyncio.sleep(seconds)
    before = cpu_seconds(forwarder)
    await asyncio.sleep(seconds)
    return (cpu_seconds(forwarder) - before) / seconds


async def _are_down(town: Town) -> bool:
    found = (await town.system.api.get("/status"))["destinations"]
    return bool(found["down"] == len(town.dying))


async def _waiting(system: System) -> int:
    waiting: int = (await system.api.get("/status"))["waiting"]
    return waiting


async def _all_come_alive(town: Town) -> Rows:
    """Nothing is lost: all that waited is delivered."""
    began, had = time.time(), len(town.system.main.taken)
    await town.come_alive()
    await town.system.settle(within=RETURN_SECONDS)
    first_by_server: dict[tuple[str, ...], float] = {}
    for one in town.system.main.taken[had:]:
        first_by_server.setdefault(one.recipients, one.at - began)
    firsts = sorted(first_by_server.values())
    return [
        ("back: main servers", len(firsts)),
        ("back: seconds to the first letter, median", statistics.median(firsts)),
        ("back: seconds to the first letter, the last", firsts[-1]),
        ("back: seconds until all have all", town.system.main.taken[-1].at - began),
    ]


def check_promise(columns: dict[str, Figures]) -> None:
    """What the living have while half are dead is little less than what they have while all are alive."""
    told = "\n".join(f"{name}: {figures}" for name, figures in columns.items())
    for how in ("steady", "at once"):
        alive, dead = columns[f"all alive, {how}"], columns[f"half dead, {how}"]
        assert dead.rate >= PART_KEPT * alive.rate, (
            f"{how}: {dead.rate:.0f} letters a second of {alive.rate:.0f}\n{told}"
        )
        latest = alive.late / PART_KEPT + NOISE_SECONDS
        assert dead.late <= latest, f"{how}: p95 {dead.late:.2f} s of {alive.late:.2f} s\n{told}"


def _table(columns: dict[str, Figures], rows: Rows) -> Table:
    table = Table(Column("letters of the living half", min_width=42), *[Column(name, max_width=10) for name in columns])
    for what, told in FIGURES.items():
        table.add_row(what, *[told(figures) for figures in columns.values()])
    table.add_section()
    for row, value in rows:
        table.add_row(row, *[""] * (len(columns) - 1), f"{value:.2f}" if isinstance(value, float) else str(value))
    return table


async def campaign() -> Table:
    part = partial(half_of_them_die, destinations=1000, each=4, pause_seconds=0.3, idle_seconds=5.0)
    columns, rows = await on_own_servers(part)
    check_promise(columns)
    return _table(columns, rows)


if __name__ == "__main__":
    play("thousand", campaign)
