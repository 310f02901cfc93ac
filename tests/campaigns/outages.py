"""Broker and database away under load: what senders are told meanwhile, that nothing is lost, and how soon it is over.

make campaign NAME=outages
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable

from rich.table import Table

from deploy.local.server import Server
from tests.campaigns.stage import ANN, Stage, play, set_up
from tests.kit.sender import Sent, letter
from tests.kit.system import System

SENDERS = 20
# Between two letters of one sender.
PAUSE_SECONDS = 0.2
LONGEST_REPLY_SECONDS = 20.5


async def server_is_away(
    system: System, server: Server, *, seconds: float, around_seconds: float, frozen: bool
) -> list[tuple[str, object]]:
    """Senders go on while `server` is stopped, or stands still; returns the rows of figures."""
    stop = asyncio.Event()
    sending = asyncio.ensure_future(_send_until(system, stop))
    await asyncio.sleep(around_seconds)
    gone_at = time.time()
    await asyncio.to_thread(server.pause if frozen else server.stop)
    await asyncio.sleep(seconds)
    back_at = time.time()
    await asyncio.to_thread(server.resume if frozen else server.start)
    serving_at = time.time()
    await asyncio.sleep(around_seconds)
    stop.set()
    tries = await sending
    await system.settle(within=180)
    await system.check(after="the outage")
    twice = sum(times > 1 for times in system.main.counts().values())
    return _figures(tries, gone_at, back_at, serving_at, twice)


async def _send_until(system: System, stop: asyncio.Event) -> list[Sent]:
    numbers = iter(range(10_000_000))
    tries: list[Sent] = []

    async def sender() -> None:
        while not stop.is_set():
            tries.extend(await system.sender.send([letter(next(numbers), ANN)], connections=1))
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return tries


def _figures(
    tries: list[Sent], gone_at: float, back_at: float, serving_at: float, twice: int
) -> list[tuple[str, object]]:
    meanwhile = [sent for sent in tries if gone_at < sent.at < back_at]
    slowest = max((sent.seconds for sent in tries), default=0.0)
    assert slowest <= LONGEST_REPLY_SECONDS, f"a reply took {slowest:.1f} s"
    silent = [sent for sent in tries if sent.code not in (250, 451, 452)]
    assert not silent, f"{len(silent)} tries had no proper answer: {silent[0]}"
    codes = Counter(sent.code for sent in meanwhile)
    recovered = min((sent.at for sent in tries if sent.code == 250 and sent.at > back_at), default=0.0)
    median = statistics.median(sent.seconds for sent in meanwhile) if meanwhile else 0.0
    return [
        ("tries, answered 250", f"{len(tries)}, {sum(sent.code == 250 for sent in tries)}"),
        ("replies meanwhile", ", ".join(f"{code}: {number}" for code, number in sorted(codes.items()))),
        ("median reply meanwhile, seconds", f"{median:.3f}"),
        ("slowest reply, seconds", f"{slowest:.2f}"),
        ("server up again after, seconds", f"{serving_at - back_at:.1f}"),
        ("first 250 after the start of its return, seconds", f"{max(0.0, recovered - back_at):.1f}"),
        ("lost", 0),
        ("at the main server twice (explained by the outage)", twice),
    ]


async def _one(
    seconds: float, around_seconds: float, which: Callable[[Stage], Server], *, frozen: bool
) -> dict[str, str]:
    async with set_up() as stage:
        rows = await server_is_away(
            stage.system, which(stage), seconds=seconds, around_seconds=around_seconds, frozen=frozen
        )
    return {what: str(value) for what, value in rows}


async def campaign() -> Table:
    columns = {
        "broker stopped": await _one(60, 10, lambda stage: stage.servers.kafka, frozen=False),
        "broker frozen": await _one(60, 10, lambda stage: stage.servers.kafka, frozen=True),
        "database stopped": await _one(60, 10, lambda stage: stage.servers.mongod, frozen=False),
        "database frozen": await _one(60, 10, lambda stage: stage.servers.mongod, frozen=True),
    }
    table = Table("60 s away under load", *columns)
    for what in next(iter(columns.values())):
        table.add_row(what, *[column[what] for column in columns.values()])
    return table


if __name__ == "__main__":
    play("outages", campaign)
