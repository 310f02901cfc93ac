"""More forwarders drain more, in proportion. And while they come, go and die, no letter is lost, none is sent twice,
and none waits long.

make campaign NAME=sideways
"""

import asyncio
import bisect
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from rich.table import Table

from tests.campaigns.stage import ANN, Rows, Run, of_rows, on_own_servers, play
from tests.kit.mainserver import unhurried
from tests.kit.patience import until
from tests.kit.sender import letter, letters
from tests.kit.system import System

# What bounds a forwarder is what it waits for: a main server that takes this long for each reply, and so many
# connections of each forwarder, of those that four of them may have.
REPLY_SECONDS = 0.05
CONNECTIONS = {"forwarder_connections": 20, "destination_connections": 80}
# As the product comes, whatever the tests have shortened.
AS_SHIPPED = {"backlog_seconds": 1}
# So much of the proportion is promised: two forwarders drain 1.8 times what one does.
PROPORTION = 0.9

JOIN, LEAVE, KILL, END = "join", "leave", "kill", "no more mail"
# What is done at each step, and to which forwarders; the first forwarder stays.
Step = tuple[str, tuple[int, ...]]
ORDERLY: tuple[Step, ...] = (
    (JOIN, (2, 3, 4)),
    (LEAVE, (2, 3, 4)),
    (JOIN, (2,)),
    (JOIN, (3,)),
    (JOIN, (4,)),
    (LEAVE, (4,)),
    (LEAVE, (3,)),
    (LEAVE, (2,)),
)
DEADLY: tuple[Step, ...] = (
    (JOIN, (2, 3, 4)),
    (KILL, (4,)),
    (LEAVE, (3,)),
    (KILL, (2,)),
    (JOIN, (2, 3, 4)),
    (KILL, (2, 3)),
    (LEAVE, (4,)),
)
# A fifth of what one forwarder can: what waited while nobody had its partitions is soon made up for.
PER_SECOND = 20
# The longest that a letter may wait for the main server. One that a killed forwarder had claimed is not meant: it waits
# for the lease.
LONGEST_SECONDS = {JOIN: 3.0, LEAVE: 3.0, KILL: 18.0, END: 3.0}
TAKEN_OVER = "the forwarder that was sending it stopped"


async def more_forwarders_drain_more(
    run: Run, *, letters_each: int, sizes: Sequence[int], is_promised: bool = True
) -> Rows:
    """So many letters for each forwarder wait while the main server is away, and it comes back: fails where `sizes`
    forwarders drain less than their proportion of what the first of them does."""
    rows: Rows = []
    rates: dict[int, float] = {}
    async with run(**AS_SHIPPED, **CONNECTIONS) as system:
        await system.add_user(ANN)
        for size in sizes:
            await _grow(system, size)
            drained = await _drain(system, letters_each * size)
            rates[size] = drained.rate
            rows += drained.rows(f"{size} forwarders" if size > 1 else "1 forwarder", rates[sizes[0]] * size / sizes[0])
    if is_promised:
        for size, rate in rates.items():
            wanted = PROPORTION * rates[sizes[0]] * size / sizes[0]
            assert rate >= wanted, f"{size} forwarders drain {rate:.0f} letters a second, promised are {wanted:.0f}"
    return rows


async def _grow(system: System, size: int) -> None:
    running = int(await _members(system))
    await system.start(*(f"forwarder-{number}" for number in range(running + 1, size + 1)))


async def _members(system: System) -> int:
    return await system.scope.connect()["forwarders"].count_documents({})


@dataclass(frozen=True, slots=True)
class _Drained:
    letters: int
    # Letters a second from the first to the last, and between the first and the last fifth: without the ramp, and
    # without the end, when some forwarders have nothing left.
    whole: float
    rate: float
    # Of the process that is main server and sender.
    cpu: float

    def rows(self, who: str, proportion: float) -> Rows:
        return [
            (f"{who}: letters that waited", self.letters),
            (f"{who}: letters a second from the first to the last", round(self.whole)),
            (f"{who}: letters a second between the fifths", round(self.rate)),
            (f"{who}: of the proportion", self.rate / proportion),
            (f"{who}: of a core, the main server", self.cpu),
        ]


async def _drain(system: System, number: int) -> _Drained:
    system.begin()
    await system.main.go_away()
    await system.send(letters(number, ANN), connections=20)
    await until(partial(_is_down, system), within=60, what="the destination's being down")
    await system.ledger.arrive(system.sender)
    system.main.temper = unhurried(REPLY_SECONDS)
    await system.main.come_back()
    await system.main.has_taken(1)
    began, cpu_began = time.monotonic(), time.process_time()
    await system.main.has_taken(number, within=60 + number / 20)
    cpu = (time.process_time() - cpu_began) / (time.monotonic() - began)
    await system.settle(within=120)
    await system.check()
    at = sorted(taken.at for taken in system.main.taken)
    return _Drained(number, _rate(at), _rate(at[number // 5 : number * 4 // 5]), cpu)


def _rate(at: Sequence[float]) -> float:
    return (len(at) - 1) / max(0.001, at[-1] - at[0])


async def _is_down(system: System) -> bool:
    return bool((await system.api.get(f"/destinations/{system.main.name}"))["state"] == "down")


async def members_come_and_go(
    run: Run, *, steps: Sequence[Step], seconds_each: float, per_second: float = PER_SECOND, is_promised: bool = True
) -> Rows:
    """Forwarders join, leave and die, a step every `seconds_each`, while mail comes in: fails where a letter is lost,
    where one is sent twice that no killed forwarder had in hand, and where one waits longer than promised."""
    async with run(**AS_SHIPPED, **CONNECTIONS) as system:
        await system.add_user(ANN)
        system.main.temper = unhurried(REPLY_SECONDS)
        stop = asyncio.Event()
        load = asyncio.ensure_future(_load(system, per_second, stop))
        try:
            moments = await _walk(system, steps, seconds_each)
        finally:
            stop.set()
            await load
        await system.settle(within=120)
        fault = "kill -9" if any(what == KILL for what, _ in steps) else None
        balance = await system.ledger.check(system.sender, system.main, after=fault)
        await system.check(after=fault)
        waits = _Waits.of(system, moments, await _claimed_by_the_dead(system))
    if is_promised:
        waits.hold()
    return [*waits.rows(), ("ledger", balance)]


async def _load(system: System, per_second: float, stop: asyncio.Event) -> None:
    """New mail without a pause, each letter on a connection of its own."""
    number = 0
    async with asyncio.TaskGroup() as sending:
        while not stop.is_set():
            number += 1
            sending.create_task(system.send([letter(number, ANN)], connections=1))
            await asyncio.sleep(1 / per_second)


async def _walk(system: System, steps: Sequence[Step], seconds_each: float) -> list[tuple[float, str]]:
    """When each step began (by the clock), and what was done."""
    moments = [(time.time(), "nothing")]
    for what, numbers in (*steps, (END, ())):
        await asyncio.sleep(max(0.0, moments[-1][0] + seconds_each - time.time()))
        moments.append((time.time(), what))
        await _take(system, what, [f"forwarder-{number}" for number in numbers])
    return moments


async def _take(system: System, what: str, names: Sequence[str]) -> None:
    if what == JOIN:
        await system.start(*names)
    elif what == LEAVE:
        await asyncio.gather(*(system.process(name).stop() for name in names))
    elif what == KILL:
        for name in names:
            system.process(name).kill()


async def _claimed_by_the_dead(system: System) -> frozenset[str]:
    """Receipts of letters that were taken over from a forwarder that was killed."""
    documents = (await system.ledger.documents()).values()
    return frozenset(d["receipt_id"] for d in documents if "forward" in d and _was_taken_over(d["forward"]["history"]))


def _was_taken_over(history: Iterable[Mapping[str, object]]) -> bool:
    return any(str(attempt["text"]).startswith(TAKEN_OVER) for attempt in history)


@dataclass(slots=True)
class _Waits:
    """How long letters waited from their 250 to the main server's, by what was last done before they came there; and
    the longest time in which the main server was brought nothing."""

    waits: dict[str, list[float]]
    pauses: dict[str, float]
    of_the_dead: list[float]

    @classmethod
    def of(cls, system: System, moments: Sequence[tuple[float, str]], dead: frozenset[str]) -> "_Waits":
        starts = [at for at, _ in moments]

        def step(at: float) -> str:
            return moments[max(0, bisect.bisect(starts, at) - 1)][1]

        taken: dict[str, float] = {}
        for one in system.main.taken:
            taken.setdefault(one.receipt_id, one.at)
        waits: dict[str, list[float]] = defaultdict(list)
        of_the_dead: list[float] = []
        for sent in system.sender.sent:
            at = taken[sent.receipt_id or ""]
            (of_the_dead if sent.receipt_id in dead else waits[step(at)]).append(at - sent.at)
        pauses: dict[str, float] = defaultdict(float)
        for before, after in pairwise(sorted(at for at in taken.values() if at < starts[-1])):
            pauses[step(after)] = max(pauses[step(after)], after - before)
        return cls(waits, pauses, of_the_dead)

    def rows(self) -> Rows:
        rows: Rows = []
        for what, waits in sorted(self.waits.items()):
            name = f"last done {what}"
            rows += [
                (f"{name}: letters", len(waits)),
                (f"{name}: longest wait of a letter, seconds", max(waits)),
                (f"{name}: longest time without a letter, seconds", self.pauses[what]),
            ]
        if self.of_the_dead:
            rows += [
                ("claimed by the killed: letters", len(self.of_the_dead)),
                ("claimed by the killed: longest wait, seconds", max(self.of_the_dead)),
            ]
        return rows

    def hold(self) -> None:
        for what, longest in LONGEST_SECONDS.items():
            worst = max(self.waits.get(what, [0.0]))
            assert worst <= longest, f"{what}: a letter waited {worst:.1f} s, promised are {longest:.0f}\n{self.rows()}"


async def campaign() -> Table:
    rows = await on_own_servers(partial(more_forwarders_drain_more, letters_each=2500, sizes=(1, 2, 4)))
    for steps in (ORDERLY, DEADLY):
        rows += await on_own_servers(partial(members_come_and_go, steps=steps, seconds_each=20))
    return of_rows(*rows)


if __name__ == "__main__":
    play("sideways", campaign)
