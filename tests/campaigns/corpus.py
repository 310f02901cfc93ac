"""Every letter of the corpus, byte for byte: in the mailbox while the main server is away, and then at the main server.

make campaign NAME=corpus
"""

import asyncio
import time

from rich.table import Table

from tests.campaigns.stage import ANN, of_rows, play, set_up
from tests.kit import corpus
from tests.kit.ledger import is_letter_behind_header
from tests.kit.patience import until
from tests.kit.sender import Sent
from tests.kit.system import System

READERS = 8


async def letters_stay_the_same(system: System, *, every: int = 1) -> Table:
    """Fails on the first letter that differs by a byte anywhere."""
    await system.main.go_away()
    outgoing = list(corpus.letters(ANN, every=every))
    began = time.monotonic()
    sent = await system.send(outgoing, connections=20)
    accepted = time.monotonic() - began
    kept = await _in_mailbox(system, len(outgoing))
    raws = await _read_all(system, sent, kept)
    differing = [s.receipt_id for s in sent if not is_letter_behind_header(raws[s.receipt_id or ""], s.letter.raw)]
    assert not differing, f"{len(differing)} letters differ in the mailbox: {differing[:5]}"
    await system.main.come_back()
    began = time.monotonic()
    await system.main.has_taken(len(outgoing), within=600)
    forwarded = time.monotonic() - began
    changed = [taken.receipt_id for taken in system.main.taken if taken.raw != raws[taken.receipt_id]]
    assert not changed, f"{len(changed)} letters differ at the main server: {changed[:5]}"
    await system.settle(within=120)
    await system.check()
    return of_rows(
        ("letters", len(outgoing)),
        ("bytes", sum(len(letter.raw) for letter in outgoing)),
        ("accepted in, seconds", accepted),
        ("different in the mailbox", len(differing)),
        ("different at the main server", len(changed)),
        ("forwarded after the main server's return in, seconds", forwarded),
    )


async def _in_mailbox(system: System, count: int) -> dict[str, str]:
    """Receipt id -> letter id, once all are there."""

    async def all_there() -> dict[str, str]:
        found = {letter["receipt_id"]: letter["id"] for letter in await system.api.letters(ANN)}
        return found if len(found) >= count else {}

    return await until(all_there, within=120, pause=0.5, what=f"{count} letters in the mailbox")


async def _read_all(system: System, sent: list[Sent], kept: dict[str, str]) -> dict[str, bytes]:
    raws: dict[str, bytes] = {}
    names = iter([one.receipt_id or "" for one in sent])

    async def reader() -> None:
        for name in names:
            raws[name] = await system.api.raw(kept[name])

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return raws


async def campaign() -> Table:
    async with set_up() as stage:
        return await letters_stay_the_same(stage.system)


if __name__ == "__main__":
    play("corpus", campaign)
