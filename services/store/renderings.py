"""What letters say, rendered when somebody first looks, and remembered."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from services.store.mime.rendering import Rendering, render
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database
from shared.settings import Store

_MOST_KEPT = 20_000


class Renderings:
    """Renders letters, and remembers what came of it: a receipt's bytes never change."""

    def __init__(self, database: Database, settings: Store) -> None:
        self._bodies = Bodies(database)
        self._known: dict[str, Rendering] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._known.clear()

    async def fill(self, receipt_ids: Sequence[str]) -> dict[str, Rendering]:
        """The rendering of each letter that is there. Raises MailboxUnavailable."""
        missing = [name for name in receipt_ids if name not in self._known]
        for start in range(0, len(missing), 50):
            raws = await self._bodies.raws(missing[start : start + 50])
            if len(self._known) > _MOST_KEPT:
                self._known.clear()
            self._known |= await asyncio.to_thread(_rendered, raws)
        return {name: self._known[name] for name in receipt_ids if name in self._known}

    async def containing(self, receipt_ids: Sequence[str], needle: str, in_headers: bool) -> set[str]:
        """Those letters that hold a text. Raises MailboxUnavailable."""
        wanted = needle.casefold().encode()
        found: set[str] = set()
        for start in range(0, len(receipt_ids), 50):
            raws = await self._bodies.raws(receipt_ids[start : start + 50])
            for name, raw in raws.items():
                text = raw if in_headers else raw.partition(b"\r\n\r\n")[2]
                if wanted in text.lower():
                    found.add(name)
        return found


def _rendered(raws: dict[str, bytes]) -> dict[str, Rendering]:
    return {name: render(raw) for name, raw in raws.items()}
