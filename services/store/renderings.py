"""Letters' renderings, made when a mailbox is first looked at, and then kept; and what letters contain."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Self

from services.store.mime.rendering import VERSION, Rendering
from services.store.renderer import Renderer
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database
from shared.mailbox.renderings import KeptRenderings
from shared.settings import MIB, Store

# Handed to the renderer at once; it answers in a tenth of a second or so.
BATCH_LETTERS = 50
BATCH_BYTES = 16 * MIB
_READ_LETTERS = 500
_FIELDS = tuple(field.name for field in fields(Rendering))


class Renderings:
    """Gives receipts their renderings. Both questions raise MailboxUnavailable."""

    def __init__(self, database: Database, settings: Store, renderer: Renderer | None = None) -> None:
        self._bodies = Bodies(database)
        self._kept = KeptRenderings(database)
        self._renderer = renderer or Renderer()
        self._cache = _Cache(settings.rendering_cache_bytes)
        # So that two who open a mailbox do not have it rendered twice.
        self._making = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._renderer.close()

    async def fill(self, receipt_ids: Sequence[str]) -> dict[str, Rendering]:
        """The rendering of each receipt; of one whose body is purged, none."""
        wanted = dict.fromkeys(receipt_ids)
        found = self._cache.many(wanted)
        for ids in _batches([one for one in wanted if one not in found], _READ_LETTERS):
            found |= await self._read(ids)
        for ids in _batches([one for one in wanted if one not in found], BATCH_LETTERS):
            found |= await self._made(ids)
        return found

    async def containing(self, receipt_ids: Sequence[str], needle: str, in_headers: bool) -> set[str]:
        """Receipts whose letter holds `needle`, in any case: in its texts, and with `in_headers` in its headers."""
        found: set[str] = set()
        for ids in _batches(list(dict.fromkeys(receipt_ids)), BATCH_LETTERS):
            left = ids
            while left:
                bodies, left = await self._bodies.some(left, BATCH_BYTES)
                answers = await self._renderer.containing(list(bodies.values()), needle, in_headers)
                found |= {one for one, holds in zip(bodies, answers, strict=True) if holds}
        return found

    async def _read(self, ids: Sequence[str]) -> dict[str, Rendering]:
        documents = await self._kept.many(ids, VERSION)
        found = {one: _from_document(document) for one, document in documents.items()}
        self._cache.keep(found)
        return found

    async def _made(self, ids: Sequence[str]) -> dict[str, Rendering]:
        async with self._making:
            found = self._cache.many(ids)
            left = [one for one in ids if one not in found]
            while left:
                bodies, left = await self._bodies.some(left, BATCH_BYTES)
                made = await self._renderer.renderings(list(bodies.values()))
                renderings = dict(zip(bodies, made, strict=True))
                await self._kept.keep({one: _document(rendering) for one, rendering in renderings.items()}, VERSION)
                self._cache.keep(renderings)
                found |= renderings
        return found


class _Cache:
    """The renderings last used, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._renderings: OrderedDict[str, Rendering] = OrderedDict()

    def many(self, ids: Iterable[str]) -> dict[str, Rendering]:
        """Those of `ids` that are here."""
        found: dict[str, Rendering] = {}
        for one in ids:
            if (rendering := self._renderings.get(one)) is not None:
                self._renderings.move_to_end(one)
                found[one] = rendering
        return found

    def keep(self, renderings: dict[str, Rendering]) -> None:
        for one, rendering in renderings.items():
            if (old := self._renderings.pop(one, None)) is not None:
                self._bytes -= old.weight
            self._renderings[one] = rendering
            self._bytes += rendering.weight
        while self._bytes > self._most_bytes and self._renderings:
            _, oldest = self._renderings.popitem(last=False)
            self._bytes -= oldest.weight


def _batches(ids: list[str], letters: int) -> list[list[str]]:
    return [ids[start : start + letters] for start in range(0, len(ids), letters)]


def _document(rendering: Rendering) -> dict[str, Any]:
    return {name: getattr(rendering, name) for name in _FIELDS}


def _from_document(document: dict[str, Any]) -> Rendering:
    return Rendering(**{name: document[name] for name in _FIELDS})
