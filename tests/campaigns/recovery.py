"""How soon mail is at a main server that is back: after a short outage, one of 8 hours, one of 2 days, and beside a
Postfix at its defaults.

make campaign NAME=recovery
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from functools import partial

from rich.table import Table

from shared.mailbox.clock import Clock
from shared.settings import Common
from tests.bench.postfix import postfix
from tests.campaigns.stage import ANN, Rows, Run, of_rows, on_own_servers, play
from tests.kit.mainserver import MainServer
from tests.kit.patience import until
from tests.kit.sender import Sender, letters
from tests.kit.system import System

HOUR = 3600.0
# As the product comes, whatever the tests have shortened.
AS_SHIPPED = {"probe_seconds": 5, "retry_seconds": 300, "breaker_test_seconds": 900, "backlog_seconds": 1}
# A probe each 5 s, a fifth later at most, and half a second for the letter itself.
FIRST_SECONDS = 6.5
TIMES_SOONER = 50


async def mail_is_there_soon(run: Run, *, number: int, outages: Sequence[float]) -> Rows:
    """`number` letters wait while the main server is away for each of `outages` seconds (the clock is set ahead), and
    it comes back: fails where the first letter or the 95th of a hundred comes later than promised."""
    rows: Rows = []
    async with run(**AS_SHIPPED, test_clock=True) as system:
        await system.add_user(ANN)
        for seconds in outages:
            system.begin()
            rows += await _outage(system, number, seconds)
    return rows


async def _outage(system: System, number: int, seconds: float) -> Rows:
    await system.main.refuse()
    await system.send(letters(number, ANN), connections=20)
    await until(partial(_is_down, system), within=60, what="the destination's being down")
    await Clock(system.scope.connect(), Common()).move(seconds)
    # Some probes find nobody.
    await asyncio.sleep(8)
    back_at = time.time()
    await system.main.come_back()
    await system.main.has_taken(number, within=60 + number / 50)
    waits = sorted(taken.at - back_at for taken in system.main.taken)
    await system.settle(within=120)
    await system.check()
    rate = (number - 1) / max(0.001, waits[-1] - waits[0])
    middle, late = _percentile(waits, 0.5), _percentile(waits, 0.95)
    name = f"away for {seconds / HOUR:.0f} h" if seconds else "away for a moment"
    assert waits[0] <= FIRST_SECONDS, f"{name}: the first letter came after {waits[0]:.1f} s"
    assert late <= FIRST_SECONDS + number / rate, f"{name}: p95 after {late:.1f} s at {rate:.0f} letters a second"
    return [
        (f"{name}: letters that waited", number),
        (f"{name}: seconds to the first letter", waits[0]),
        (f"{name}: seconds to half of them", middle),
        (f"{name}: seconds to 95 of 100", late),
        (f"{name}: letters a second from the first to the last", round(rate)),
    ]


async def _is_down(system: System) -> bool:
    return bool((await system.api.get(f"/destinations/{system.main.name}"))["state"] == "down")


async def sooner_than_postfix(run: Run, *, number: int, outage_seconds: float) -> Rows:
    """The same letters to us and to a Postfix at its defaults, spread over the outage: whose are there sooner once it
    is over. It lasts until Postfix has sent half of them."""
    async with run(**AS_SHIPPED) as system, MainServer() as its_main:
        await system.add_user(ANN)
        with postfix(its_main.port) as peer:
            await asyncio.gather(system.main.refuse(), its_main.refuse())
            its_sender = Sender(peer.port)
            for letter in letters(number, ANN):
                await asyncio.gather(system.send([letter]), its_sender.send([letter]))
                await asyncio.sleep(outage_seconds / number)
            back_at = time.time()
            await asyncio.gather(system.main.come_back(), its_main.come_back())
            await system.main.has_taken(number, within=120)
            await its_main.has_taken(number // 2 + 1, within=2 * HOUR)
        await system.settle()
        await system.check()
        ours = statistics.median(taken.at - back_at for taken in system.main.taken)
        its = sorted(taken.at - back_at for taken in its_main.taken)[number // 2]
    assert ours * TIMES_SOONER <= its, f"median {ours:.1f} s, Postfix {its:.1f} s"
    return [
        ("beside Postfix: minutes of outage", outage_seconds / 60),
        ("beside Postfix: letters", number),
        ("beside Postfix: our median wait, seconds", ours),
        ("beside Postfix: its median wait, seconds", its),
        ("beside Postfix: times sooner", its / ours),
    ]


def _percentile(waits: Sequence[float], part: float) -> float:
    return waits[min(len(waits) - 1, int(len(waits) * part))]


async def campaign() -> Table:
    rows = await on_own_servers(partial(mail_is_there_soon, number=10_000, outages=(0.0, 8 * HOUR, 48 * HOUR)))
    rows += await on_own_servers(partial(sooner_than_postfix, number=200, outage_seconds=40 * 60))
    return of_rows(*rows)


if __name__ == "__main__":
    play("recovery", campaign)
