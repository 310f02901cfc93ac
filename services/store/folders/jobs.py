"""Bringing a folder up to date, and setting flags: the jobs that shared/mailbox/folders.py describes, carried out.

One at a time for each folder: in this process by the view's lock, between processes by the folder's own document. A job
that another process has begun is waited for; one that nobody finishes is finished here.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from shared import logs
from shared.failpoints import failpoint
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.folders import Folder, Folders, Job
from shared.mailbox.numbering import Numbering, Pending

log = logs.get("folders")

# A job takes some milliseconds. One that stands for so long has lost its process, or is as good as lost.
PATIENCE_SECONDS = 2.0
_LOOK_SECONDS = 0.02


class Jobs:
    """Carries out the jobs of folders."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        self._folders = Folders(database)
        self._numbering = Numbering(database)
        # Jobs that bear this were begun here; where one is found, it is ours and nobody works on it any more.
        self._own = secrets.token_hex(6)

    async def catch_up(
        self, folder_id: str, between: Callable[[], Any] | None = None, known: Folder | None = None
    ) -> Folder:
        """Give numbers to what has arrived, tombstones to what has gone, a new modseq to what has stirred; returns the
        folder as it then is. `between` is awaited now and then while there is much to do. `known` is the folder as it
        was read a moment ago.

        Raises:
            FolderMissing: the folder is gone.
            MailboxUnavailable.
        """
        while True:
            folder, known = known if known is not None and known.job is None else await self._free(folder_id), None
            if await self._numbering.is_settled(folder):
                return folder
            pending = await self._pending(folder)
            if pending.is_empty:
                return folder
            if await self._do(folder, _catching_up(folder, pending)) and not pending.is_full:
                return await self._folders.read(folder_id)
            if between is not None:
                await between()

    async def set_flags(
        self, folder_id: str, uids: Sequence[int], how: str, flags: Sequence[str], unchanged_since: int | None
    ) -> tuple[list[int], int]:
        """Set flags of letters, as STORE does (`how`: add, remove, replace). Returns those UIDs that have changed since
        modseq `unchanged_since`, and were left as they are; and the modseq that the others may have now.

        Raises:
            FolderMissing: the folder is gone.
            MailboxUnavailable: it may be done later, or not.
        """
        while True:
            folder = await self._free(folder_id)
            spared: list[int] = []
            if unchanged_since is not None:
                modseqs = await self._numbering.modseqs(folder, uids)
                spared = [uid for uid in uids if modseqs.get(uid, 0) > unchanged_since]
            left_alone = set(spared)
            wanted = _ranges([uid for uid in uids if uid not in left_alone])
            if not wanted:
                return spared, folder.modseq
            job = _job(folder) | {"flags": {"how": how, "flags": list(flags), "uids": wanted}}
            if await self._do(folder, job):
                return spared, folder.modseq + 1

    async def _pending(self, folder: Folder) -> Pending:
        arrived, left, stirred = await asyncio.gather(
            self._numbering.arrived(folder), self._numbering.left(folder), self._numbering.stirred(folder)
        )
        return Pending(arrived, left, stirred)

    async def _free(self, folder_id: str) -> Folder:
        """The folder, once no job is under way."""
        seen: str | None = None
        waited = 0.0
        while True:
            folder = await self._folders.read(folder_id)
            if folder.is_renaming:
                await self._folders.rename_letters(folder.id, folder.name)
            if folder.job is None:
                return folder
            if folder.job["token"] != seen:
                seen, waited = folder.job["token"], 0.0
            if waited >= PATIENCE_SECONDS or str(seen).startswith(self._own):
                log.warning("job_taken_over", folder=folder.name, address=folder.address)
                await self._carry_out(folder, folder.job)
                continue
            await asyncio.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS

    async def _do(self, folder: Folder, job: Job) -> bool:
        """False: the folder has moved on since it was read."""
        job |= {"token": f"{self._own}-{secrets.token_hex(4)}", "at": self._clock.now()}
        if not await self._folders.begin(folder, job):
            return False
        await self._carry_out(folder, job)
        return True

    async def _carry_out(self, folder: Folder, job: Job) -> None:
        failpoint("store.before_apply")
        await self._numbering.apply(folder, job)
        failpoint("store.before_finish")
        await self._folders.finish(folder.id, job)


def _job(folder: Folder) -> Job:
    return {"modseq": folder.modseq + 1, "uidnext": folder.uidnext}


def _catching_up(folder: Folder, pending: Pending) -> Job:
    return {
        "modseq": folder.modseq + 1,
        "first_uid": folder.uidnext,
        "uidnext": folder.uidnext + len(pending.arrived),
        "number": [list(pair) for pair in pending.arrived],
        "left": pending.left,
        "stirred": pending.stirred,
    }


def _ranges(uids: Sequence[int]) -> list[list[int]]:
    """Sorted numbers as ranges. Numbers in between that are not there at all do no harm, but none is added."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ranges
