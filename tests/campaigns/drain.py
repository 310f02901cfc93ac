"""How fast a main server that is back gets what has waited, and what is left for new mail meanwhile.

make campaign NAME=drain
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from rich.table import Table

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.production import NICE_BEHIND_INGEST
from tests.bench.load import Sink, send, sink
from tests.bench.postfix import postfix
from tests.campaigns.stage import Rows, Run, of_rows, on_own_servers, play
from tests.kit.patience import until
from tests.kit.system import System

# Her main server was away; his is there all the time.
WAITING, LIVE = "ann@example.test", "ben@example.test"
# Few sessions, each with many letters, bring the backlog in; a mail server of our time brings new mail by 20.
FILL, LOAD = "-d -s 20", "-s 20"
# Of what a Postfix at its defaults takes and relays in the same run; and of what is taken while nothing is drained.
TIMES_POSTFIX = 3.0
PART_OF_ACCEPT = 0.7
# A probe is due within so long, as shipped.
PROBE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Drained:
    """From the first letter at the main server to the last."""

    letters: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.letters / max(0.001, self.seconds)


@contextlib.asynccontextmanager
async def as_deployed(run: Run, live: Sink, waiting_port: int) -> AsyncIterator[System]:
    """The product with its processes as nice to each other as it is deployed, and both users."""
    async with run("store", "forwarder", "pruner", nice=NICE_BEHIND_INGEST, probe_seconds=5) as system:
        await system.start("ingest", nice=0)
        await system.api.add_user(LIVE, f"{LOOPBACK}:{live.port}")
        await system.api.add_user(WAITING, f"{LOOPBACK}:{waiting_port}")
        yield system


async def waiting_is_sent_fast(run: Run, *, number: int, new: int, is_promised: bool = True) -> Rows:
    """`number` letters wait twice: once nothing else is done while they go, once `new` others come in for somebody
    else. Fails where it is slower than promised, or where one is missing at the end."""
    port = free_port()
    postfix_rate = await asyncio.to_thread(_relayed_by_postfix, new)
    with sink() as live:
        async with as_deployed(run, live, port) as system:
            accepted_alone = await accept(system, live, new)
            alone = await _drain(system, port, number)
            await fill(system, port, number)
            with sink(port) as target:
                drained, accepted_meanwhile = await asyncio.gather(
                    _watched(target, number), _accept_once_begun(system, live, target, new)
                )
            await all_is_gone(system)
            await system.check_nothing_was_mended()
    part = accepted_meanwhile / accepted_alone
    if is_promised:
        assert alone.rate >= TIMES_POSTFIX * postfix_rate, f"{alone.rate:.0f} a second, Postfix {postfix_rate:.0f}"
        assert part >= PART_OF_ACCEPT, f"new mail is taken at {part:.2f} of what is taken alone"
    return [
        ("letters that waited", number),
        ("drained, letters a second", round(alone.rate)),
        ("Postfix, taken and relayed, letters a second", round(postfix_rate)),
        ("drained, times Postfix", alone.rate / postfix_rate),
        ("new mail alone, letters a second", round(accepted_alone)),
        ("new mail while draining, letters a second", round(accepted_meanwhile)),
        ("new mail while draining, part of alone", part),
        ("drained while new mail comes, letters a second", round(drained.rate)),
    ]


def _relayed_by_postfix(letters: int) -> float:
    """Letters a second, of as many as are new mail for us."""
    with sink() as its_main, postfix(its_main.port) as peer:
        began = time.monotonic()
        send(LOAD, letters, peer.port)
        its_main.wait_for(letters, 60 + letters / 20)
        return letters / (time.monotonic() - began)


async def accept(system: System, live: Sink, letters: int) -> float:
    """Letters a second that are taken, and forwarded at once."""
    before = live.letters
    seconds = await asyncio.to_thread(send, LOAD, letters, system.port("smtp"), LIVE)
    await asyncio.to_thread(live.wait_for, before + letters, 60 + letters / 100)
    return letters / seconds


async def _accept_once_begun(system: System, live: Sink, target: Sink, letters: int) -> float:
    await asyncio.to_thread(target.wait_for, 1, PROBE_SECONDS + 60)
    return await accept(system, live, letters)


async def _drain(system: System, port: int, number: int) -> Drained:
    await fill(system, port, number)
    with sink(port) as target:
        drained = await _watched(target, number)
    await all_is_gone(system)
    return drained


async def fill(system: System, port: int, number: int) -> None:
    """Nobody listens there: all of it waits, and the destination is known to be down."""
    await asyncio.to_thread(send, FILL, number, system.port("smtp"), WAITING)
    name = f"{LOOPBACK}:{port}"

    async def all_waits() -> bool:
        shown = await system.api.get(f"/destinations/{name}")
        return bool(shown["waiting"] == number and shown["state"] == "down")

    await until(all_waits, within=60 + number / 500, pause=1, what=f"{number} letters that wait")


async def _watched(target: Sink, number: int) -> Drained:
    await asyncio.to_thread(target.wait_for, 1, PROBE_SECONDS + 60)
    began, first = time.monotonic(), target.letters
    await asyncio.to_thread(target.wait_for, number, 60 + number / 200)
    return Drained(number - first, time.monotonic() - began)


async def all_is_gone(system: System) -> None:
    """Forwarded, the local copy removed, for each of them: nothing waits, nothing is in a mailbox."""

    async def nothing_is_left() -> bool:
        shown = [await system.api.get(f"/users/{user}/letters", limit=1) for user in (WAITING, LIVE)]
        return not any(page["items"] for page in shown)

    await until(nothing_is_left, within=300, pause=0.5, what="mailboxes from which all has been forwarded")


async def campaign() -> Table:
    part = partial(waiting_is_sent_fast, number=100_000, new=10_000)
    return of_rows(*await on_own_servers(part, mongod_niceness=NICE_BEHIND_INGEST))


if __name__ == "__main__":
    play("drain", campaign)
