"""How the views of this process hear what others do: from the topics at once, from the database within a second.

`stored` and `deleted` tell of arrivals and removals; one reader of them serves all sessions. What no event tells
(flags, moves between folders, a forward that got on) is looked for each second, by a few questions for all that is
watched. The events only make it prompt: one that is lost is found by the look.
"""

import asyncio
import contextlib
from collections.abc import Iterable

import orjson

from services.store.folders.view import View
from services.store.folders.views import Views
from shared import logs
from shared.bus.consumer import Record
from shared.bus.producer import BusUnavailable
from shared.bus.tail import Tail
from shared.mailbox.connect import Database, MailboxUnavailable
from shared.mailbox.folders import FolderMissing, Folders
from shared.mailbox.numbering import Numbering
from shared.settings import Store

log = logs.get("hearing")

TOPICS = ("stored", "deleted")
LOOK_SECONDS = 1.0
# Between two refreshes of one view: a busy folder's events come in by the hundred.
PAUSE_SECONDS = 0.03
_AGAIN_SECONDS = 1.0


class Hearing:
    """Keeps the views that sessions hold up to date."""

    def __init__(self, settings: Store, database: Database, views: Views) -> None:
        self._settings = settings
        self._views = views
        self._folders = Folders(database)
        self._numbering = Numbering(database)
        self._dirty: dict[str, View] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        parts = [asyncio.ensure_future(part) for part in (self._listen(), self._look(), self._work())]
        try:
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait([stopping, *parts], return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            for task in (stopping, *parts, *self._refreshing.values()):
                task.cancel()
            await asyncio.gather(*parts, *self._refreshing.values(), return_exceptions=True)

    # What tells that a view is behind

    async def _listen(self) -> None:
        while True:
            if not self._views.held():
                await asyncio.sleep(0.2)
                continue
            try:
                async with Tail(self._settings, TOPICS) as tail:
                    await tail.from_end()
                    await self._hear(tail)
            except BusUnavailable as error:
                log.warning("topics_not_heard", error=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self, tail: Tail) -> None:
        """Until nobody watches any more."""
        silent = 0
        async for records in tail.batches():
            held: dict[tuple[str, str] | None, View] = {
                (view.folder.address, view.folder.name): view for view in self._views.held()
            }
            self._mark(view for record in records if (view := held.get(_place(record))) is not None)
            silent = 0 if held else silent + 1
            if silent > 60:
                return

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            held = self._views.held()
            if held:
                with contextlib.suppress(MailboxUnavailable):
                    self._mark(await self._behind(held))

    async def _behind(self, held: list[View]) -> list[View]:
        ids = [view.folder.id for view in held]
        marks = await self._folders.marks(ids)
        busy = await self._numbering.busy([view.folder for view in held])
        return [
            view for view in held if marks.get(view.folder.id) != (view.folder.modseq, False) or view.folder.id in busy
        ]

    # What is done about it

    def _mark(self, views: Iterable[View]) -> None:
        for view in views:
            self._dirty[view.folder.id] = view
            self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for name, view in list(self._dirty.items()):
                if name not in self._refreshing:
                    del self._dirty[name]
                    self._refreshing[name] = asyncio.ensure_future(self._refresh(name, view))

    async def _refresh(self, name: str, view: View) -> None:
        try:
            with contextlib.suppress(FolderMissing):
                await self._views.refresh(view)
            await asyncio.sleep(PAUSE_SECONDS)
        except MailboxUnavailable as error:
            log.warning("view_not_refreshed", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)
            if view.grips:
                self._dirty[name] = view
        finally:
            del self._refreshing[name]
            self._wake.set()


def _place(record: Record) -> tuple[str, str] | None:
    """Whose folder an event tells of."""
    try:
        facts = orjson.loads(record.value or b"")
        return facts["address"], facts["mailbox"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
