"""What strangers send is read by total functions: mutated inputs for half an hour, and none of them escapes.

make campaign NAME=fuzz MINUTES=30
"""

import contextlib
import os
import secrets

from rich.table import Table

from services.store.imap.parse import Unfit, parse
from services.store.mime.rendering import render
from services.store.mime.sections import section
from services.store.mime.text import contains
from services.store.pop3.parse import parse as read_pop3
from services.store.pop3.replies import Refused
from tests.campaigns.stage import play
from tests.kit import corpus
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


def read_pop3_command(line: bytes) -> None:
    with contextlib.suppress(Refused):
        read_pop3(line)


POP3_COMMANDS = (
    b"USER ann@example.test",
    b"PASS secret",
    b"LIST 1",
    b"TOP 1 10",
    b"AUTH PLAIN AGE=",
    b"UIDL",
    b"LANG de",
)


def render_letter(raw: bytes) -> None:
    """The whole of it, and each of its parts as clients ask for them."""
    rendering = render(raw)
    for path in list(rendering.parts)[:MOST_PARTS]:
        for text in ("", "MIME", "HEADER", "TEXT"):
            section(rendering, raw, [int(number) for number in path.split(".")], text)
    section(rendering, raw, [], "HEADER.FIELDS", ["Subject", "From"])
    contains(raw, "a", in_headers=True)


# Of the corpus, so that a campaign has letters of all kinds and begins at once.
EACH_LETTER = 100
MOST_PARTS = 20


def real_letters() -> list[bytes]:
    return [letter.raw for letter in corpus.letters("ann@example.test", every=EACH_LETTER)]


# What is tried. Whatever else reads the bytes of strangers belongs here.
TARGETS = (
    Target("IMAP commands", read_command, VALID),
    Target("POP3 commands", read_pop3_command, POP3_COMMANDS),
    Target("letters", render_letter, real_letters()),
)


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
