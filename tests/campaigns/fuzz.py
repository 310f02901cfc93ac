"""What strangers send is read by total functions: mutated inputs for half an hour, and none of them escapes.

make campaign NAME=fuzz MINUTES=30
"""

import contextlib
import os
import secrets

from rich.table import Table

from services.store.imap.parse import Unfit, parse
from tests.campaigns.stage import play
from tests.kit.fuzz import Findings, Target, fuzz
from tests.kit.imapcommands import VALID, cut

MINUTES = 30.0
# The targets take turns, so that one that is slow by and by shows early.
TURNS = 10


def read_command(wire: bytes) -> None:
    """In both ways with names of mailboxes."""
    for is_utf8 in (False, True):
        with contextlib.suppress(Unfit):
            parse(cut(wire), is_utf8=is_utf8)


# What is tried. Whatever else reads the bytes of strangers belongs here.
TARGETS = (Target("IMAP commands", read_command, VALID),)


def nothing_escapes(seconds: float, seed: int, turns: int = 1) -> Table:
    """Each target for its part of so many seconds. Fails with an example of each escape."""
    table = Table("what", "inputs", "escapes", "slowest input, ms", "its octets")
    found: dict[str, Findings] = {}
    for turn in range(turns):
        for target in TARGETS:
            findings = fuzz(target, seconds / turns / len(TARGETS), seed + turn)
            found[target.name] = findings + found.get(target.name, Findings())
    for name, whole in found.items():
        figures = (
            f"{whole.inputs:,}",
            f"{whole.escapes.total():,}",
            f"{whole.slowest_ms:.2f}",
            f"{len(whole.slowest):,}",
        )
        table.add_row(name, *figures)
    escapes = [
        f"{name}: {kind}: {raw[:500]!r}" for name, whole in found.items() for kind, raw in whole.examples.items()
    ]
    assert not escapes, "\n".join([f"seed {seed}", *escapes])
    return table


async def campaign() -> Table:
    return nothing_escapes(float(os.environ.get("MINUTES", MINUTES)) * 60, secrets.randbits(32), TURNS)


if __name__ == "__main__":
    play("fuzz", campaign)
