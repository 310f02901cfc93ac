"""A mailbox of 100,000 letters is opened; and how soon a mail program hears what happens in another process.

make campaign NAME=opening
"""

import asyncio
import statistics
import time
from functools import partial

from rich.table import Table

from tests.campaigns.mailbox import put
from tests.campaigns.stage import ANN, Rows, Run, memory_mib, of_rows, on_own_servers, play
from tests.kit.imapwire import Wire
from tests.kit.mailserver import of_system
from tests.kit.sender import letters
from tests.kit.system import System

LETTER = b"Subject: one of many\r\n\r\nWith little to say.\r\n"
PATIENCE_SECONDS = 120.0
# What is promised.
FIRST_SECONDS, LATER_SECONDS = 15.0, 1.0
MEDIAN_SECONDS, WORST_SECONDS = 0.1, 1.0
PAUSE_SECONDS = 0.2


async def a_large_mailbox_is_opened(run: Run, *, number: int, rounds: int, is_promised: bool = True) -> Rows:
    """Opened for the first time, when it is numbered; then again, in the same process and in another."""
    async with run("store", "ingest") as system:
        await of_system(system).add_user(ANN)
        await put(system, ANN, [LETTER] * number)
        pid = system.process("store").pid
        before = memory_mib(pid)
        first, still_at_it = await _open(system, "imap", number)
        memory = memory_mib(pid) - before
        later = [(await _open(system, "imap", number))[0] for _ in range(rounds)]
        await system.start("store-2")
        elsewhere, _ = await _open(system, "imap-2", number)
    assert not is_promised or (first <= FIRST_SECONDS and max(later) <= LATER_SECONDS), (first, later)
    return [
        ("letters", number),
        ("first opening, s", first),
        ("words that kept the session alive meanwhile", still_at_it),
        ("opening again, s, median", statistics.median(later)),
        ("opening in a process that has not seen it, s", elsewhere),
        ("memory of the view, MiB", memory),
    ]


async def _open(system: System, port: str, number: int) -> tuple[float, int]:
    """Seconds that SELECT takes in a new session, and how often it was told that the server is still at it."""
    async with await Wire.open(system.port(port)) as wire:
        answer = await wire.login(ANN, of_system(system).password)
        assert answer.status == "OK", answer
        began = time.perf_counter()
        answer = await wire.command("SELECT INBOX", within=PATIENCE_SECONDS)
        seconds = time.perf_counter() - began
    assert b"%d EXISTS" % number in answer.untagged, answer
    return seconds, sum(b"Still" in line for line in answer.untagged)


async def idle_hears_soon(run: Run, *, number: int, is_promised: bool = True) -> Rows:
    """Each letter from its 250 to the word of a session that idles in another store; then each one's removal."""
    async with run("store", "ingest") as system:
        user = of_system(system)
        await user.add_user(ANN)
        await system.start("store-2")
        async with await Wire.open(system.port("imap-2")) as wire, await user.imap(ANN) as there:
            for each in (wire.login(ANN, user.password), wire.command("SELECT INBOX"), there.command("SELECT INBOX")):
                assert (await each).status == "OK"
            await wire.send(b"i IDLE\r\n")
            await wire.hears(b"idling")
            arrivals = [await _heard(system, wire) for _ in range(number)]
            removals = [await _gone(there, wire) for _ in range(number)]
    rows: Rows = []
    for what, seconds in (("arrival", arrivals), ("removal", removals)):
        median, worst = statistics.median(seconds), max(seconds)
        rows += [(f"{what} heard in another process, s, median", median), (f"{what}, s, worst", worst)]
        assert not is_promised or (median <= MEDIAN_SECONDS and worst <= WORST_SECONDS), f"{what}: {median}, {worst}"
    return rows


async def _heard(system: System, wire: Wire) -> float:
    await system.send(letters(1, ANN), connections=1)
    began = time.perf_counter()
    await wire.hears(b"EXISTS")
    seconds = time.perf_counter() - began
    await asyncio.sleep(PAUSE_SECONDS)
    return seconds


async def _gone(there: Wire, wire: Wire) -> float:
    assert (await there.command("NOOP")).status == "OK"
    assert (await there.command("STORE 1 +FLAGS.SILENT (\\Deleted)")).status == "OK"
    assert (await there.command("EXPUNGE")).status == "OK"
    began = time.perf_counter()
    await wire.hears(b"EXPUNGE")
    seconds = time.perf_counter() - began
    await asyncio.sleep(PAUSE_SECONDS)
    return seconds


async def campaign() -> Table:
    rows = await on_own_servers(partial(a_large_mailbox_is_opened, number=100_000, rounds=5, is_promised=False))
    rows += await on_own_servers(partial(idle_hears_soon, number=50, is_promised=False))
    return of_rows(*rows)


if __name__ == "__main__":
    play("opening", campaign)
