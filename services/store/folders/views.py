"""The views of this process: opened when somebody looks, brought up to date, and kept for a while after."""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from services.store.folders.jobs import Jobs
from services.store.folders.view import Row, View, row_of
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.folders import Folder, FolderMissing, Folders
from shared.mailbox.numbering import Numbering

# Letters in views that no session holds: about 100 MB. The views longest unused go first.
MOST_KEPT_LETTERS = 300_000


class Views:
    """Finds the one view of each folder that this process knows."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._folders = Folders(database)
        self._numbering = Numbering(database)
        self.jobs = Jobs(database, clock)
        # The last used last.
        self._views: OrderedDict[str, View] = OrderedDict()
        self._wanted: dict[str, int] = {}

    def held(self) -> list[View]:
        """Those that some session holds."""
        return [view for view in self._views.values() if view.grips]

    @contextlib.asynccontextmanager
    async def opened(self, folder: Folder, between: Callable[[], Any] | None = None) -> AsyncIterator[View]:
        """The view of a folder, up to date. In the block it is not forgotten; take a grip to keep it longer.

        Raises:
            FolderMissing, MailboxUnavailable.
        """
        view = self._views.get(folder.id)
        if view is None:
            view = self._views[folder.id] = View(folder)
        self._wanted[folder.id] = self._wanted.get(folder.id, 0) + 1
        try:
            await self.refresh(view, between, folder)
            self._views.move_to_end(folder.id)
            yield view
        finally:
            self._wanted[folder.id] -= 1
            if not self._wanted[folder.id]:
                del self._wanted[folder.id]
            self._forget()

    async def refresh(self, view: View, between: Callable[[], Any] | None = None, known: Folder | None = None) -> None:
        """Bring the folder up to date, and the view with it. `known` is the folder as it was read a moment ago.

        Raises:
            FolderMissing, MailboxUnavailable.
        """
        async with view.lock:
            try:
                if known is not None and known.modseq < view.folder.modseq:
                    # It was read before the lock was free.
                    known = None
                folder = await self.jobs.catch_up(view.folder.id, between, known)
                await self._read(view, folder)
            except FolderMissing:
                self._drop(view)
                raise

    async def set_flags(self, view: View, uids: list[int], how: str, flags: list[str], since: int | None) -> list[int]:
        """As Jobs.set_flags; the view has it afterwards."""
        async with view.lock:
            try:
                spared, modseq = await self.jobs.set_flags(view.folder.id, uids, how, flags, since)
                if modseq == view.folder.modseq + 1:
                    # Nothing but this job has happened: what it did is known without reading it.
                    left_alone = set(spared)
                    view.set_flags([uid for uid in uids if uid not in left_alone], how, flags, modseq)
                else:
                    await self._read(view, await self._folders.read(view.folder.id))
            except FolderMissing:
                self._drop(view)
                raise
            return spared

    async def places(self, view: View, ids: Sequence[str]) -> dict[str, int]:
        """The numbers that these letters have in the folder."""
        return await self._numbering.places(view.folder, ids)

    async def gone(self, view: View, since: int) -> list[tuple[int, int]]:
        """The UIDs that have gone after modseq `since`, as rising ranges; after a long time, all that are not there,
        which includes them (RFC 7162 section 3.2.5.1)."""
        if await self._numbering.remembers(view.folder, since):
            return [(uid, uid) for uid in sorted(await self._numbering.gone(view.folder, since))]
        return view.holes()

    async def reread(self, view: View, uids: Sequence[int]) -> None:
        """What these letters are like that no modseq tells of."""
        async with view.lock:
            view.refill(await self._numbering.rows_of(view.folder, uids))

    async def _read(self, view: View, folder: Folder) -> None:
        if not view.is_filled:
            view.fill(folder, await self._rows(folder))
            return
        if folder.uidvalidity != view.folder.uidvalidity or folder.modseq < view.folder.modseq:
            # The database was put back to an older state: these are other numbers.
            raise FolderMissing(folder.name)
        if folder.modseq == view.folder.modseq:
            view.folder = folder
            return
        since = view.folder.modseq
        # Letters first: what goes between the two looks is known as gone, and not the other way round.
        letters = await self._numbering.changed(folder, since)
        if letters is None:
            rows = await self._rows(folder)
            view.take_in(folder, rows.values(), [uid for uid in view.uids if uid not in rows])
            return
        view.take_in(folder, map(row_of, letters), await self._numbering.gone(folder, since))

    async def _rows(self, folder: Folder) -> dict[int, Row]:
        rows: dict[int, Row] = {}
        async for some in self._numbering.rows(folder):
            for letter in some:
                rows[letter["uid"]] = row_of(letter)
        return rows

    def _drop(self, view: View) -> None:
        view.close()
        self._views.pop(view.folder.id, None)

    def _forget(self) -> None:
        unused = [view for name, view in self._views.items() if not view.grips and name not in self._wanted]
        letters = sum(map(len, unused))
        for view in unused:
            if letters <= MOST_KEPT_LETTERS:
                return
            letters -= len(view)
            del self._views[view.folder.id]
