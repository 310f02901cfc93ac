"""Many large letters at once: memory stays within its budget, and nobody waits long for a reply.

make campaign NAME=large
"""

import os

from rich.table import Table

from tests.campaigns.stage import ANN, of_rows, peak_memory_mib, play, set_up
from tests.kit.sender import Outgoing
from tests.kit.system import System

MIB = 1024 * 1024
# interface.md: no reply to the final dot comes later.
LONGEST_REPLY_SECONDS = 20.0


async def large_letters_come_at_once(system: System, *, count: int, size_mib: int) -> Table:
    """Fails where a letter is lost or a reply to the final dot takes longer than it may."""
    line = os.urandom(33).hex().encode() + b"\r\n"
    raw = b"Subject: large\r\n\r\n" + line * (size_mib * MIB // len(line))
    outgoing = [Outgoing(raw, (ANN,)) for _ in range(count)]
    system.sender.patience_seconds = 120
    first = await system.sender.send(outgoing, connections=count)
    slowest = max(sent.seconds for sent in first)
    peak = peak_memory_mib(system.process("ingest").pid)
    codes = sorted({sent.code for sent in first})
    assert set(codes) <= {250, 451, 452}, f"replies {codes}: {first[0].text}"
    assert slowest <= LONGEST_REPLY_SECONDS, f"a reply took {slowest:.1f} s"
    refused = [sent.letter for sent in first if sent.code != 250]
    await system.sender.send_until_taken(refused, connections=4, within=300)
    await system.settle(within=300)
    await system.check()
    return of_rows(
        ("letters", count),
        ("MiB each", size_mib),
        ("taken at the first try", count - len(refused)),
        ("told to come again (452 or 451)", len(refused)),
        ("slowest reply to the final dot, seconds", slowest),
        ("ingest's peak memory, MiB", round(peak)),
        ("at the main server in the end", len(system.main.taken)),
    )


async def campaign() -> Table:
    async with set_up() as stage:
        return await large_letters_come_at_once(stage.system, count=50, size_mib=25)


if __name__ == "__main__":
    play("large", campaign)
