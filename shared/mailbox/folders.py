"""Folders as documents: what they are called, and how their letters are numbered and counted as changed.

    {_id, address, name, uidvalidity, uidnext, modseq, is_subscribed, use, made_at, job, is_renaming}

Letters below `uidnext`, and changes up to `modseq`, are what readers may see. Whatever moves these two on is a *job*:

1. begun: by compare-and-set on `modseq` the folder gets a `job` that says all that is to be done, under the next modseq
   and the next UIDs. There is one job at a time, so numbers become visible in their order.
2. applied: letters get their numbers, tombstones are written, flags are set. Doing it twice, or late, changes nothing:
   each write matches what it began from.
3. finished: `modseq` and `uidnext` move on, and the job goes.

Whoever finds a job that nobody finishes, finishes it (a crash between any two of these lines). So UIDs rise strictly,
and are seen in order by all replicas, without a transaction (RFC 9051 section 2.3.1.1, RFC 7162 section 3.1).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from shared.mailbox.connect import Database, reaching
from shared.mailbox.places import unnumbered

Job = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as it was read. `uidnext` and `modseq` bound what may be seen of its letters."""

    id: str
    address: str
    name: str
    uidvalidity: int
    uidnext: int
    modseq: int
    is_subscribed: bool = True
    # The special use, as in \\Sent (RFC 6154).
    use: str | None = None
    job: Job | None = None
    # Its letters may still carry the name that it had.
    is_renaming: bool = False


class FolderExists(Exception):
    """There is one of that name."""


class FolderMissing(Exception):
    """There is none of that name, or it is gone."""


class Folders:
    """The collection `folders`."""

    def __init__(self, database: Database) -> None:
        self._folders = database["folders"]
        self._letters = database["letters"]
        self._mailboxes = database["mailboxes"]
        self._tombstones = database["tombstones"]

    @reaching
    async def all(self, address: str) -> list[Folder]:
        """A user's folders, by name."""
        cursor = self._folders.find({"address": address, "name": {"$exists": True}}, {"job": 0}).sort("name", 1)
        return [_folder(document) async for document in cursor]

    @reaching
    async def get(self, address: str, name: str) -> Folder | None:
        document = await self._folders.find_one({"address": address, "name": name})
        return _folder(document) if document else None

    @reaching
    async def read(self, folder_id: str) -> Folder:
        """The folder as it is now. Raises FolderMissing."""
        document = await self._folders.find_one({"_id": folder_id, "name": {"$exists": True}})
        if document is None:
            raise FolderMissing(folder_id)
        return _folder(document)

    @reaching
    async def marks(self, folder_ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
        """For each of these that exists: its modseq, and whether a job is under way."""
        query = {"_id": {"$in": list(folder_ids)}, "name": {"$exists": True}}
        cursor = self._folders.find(query, {"modseq": 1, "job.modseq": 1})
        return {document["_id"]: (document["modseq"], "job" in document) async for document in cursor}

    @reaching
    async def make(
        self, address: str, name: str, now: datetime, *, use: str | None = None, is_subscribed: bool = True
    ) -> Folder:
        """Make a folder. Raises FolderExists.

        Letters that stand under its name without a mark, from before folders were documents, get theirs here.
        """
        folder = Folder(
            id=secrets.token_hex(8),
            address=address,
            name=name,
            uidvalidity=await self._next_uidvalidity(address, now),
            uidnext=1,
            modseq=1,
            is_subscribed=is_subscribed,
            use=use,
        )
        unmarked = {"address": address, "folder": name, "binned": {"$exists": False}, "folder_id": {"$exists": False}}
        marks = {"$set": unnumbered(address, name)}
        await self._letters.update_many({**unmarked, "unnumbered": {"$exists": False}}, marks)
        try:
            await self._folders.insert_one(_document(folder, now))
        except DuplicateKeyError:
            raise FolderExists(name) from None
        await self._mailboxes.update_one({"_id": address}, {"$pull": {"missed": name}})
        return folder

    async def _next_uidvalidity(self, address: str, now: datetime) -> int:
        """Never the same again for this user: a folder made again under its name is another one."""
        seconds = int(now.timestamp())
        above = {"$max": [seconds, {"$add": [{"$ifNull": ["$uidvalidity", 0]}, 1]}]}
        document = await self._mailboxes.find_one_and_update(
            {"_id": address}, [{"$set": {"uidvalidity": above}}], upsert=True, return_document=ReturnDocument.AFTER
        )
        return int(document["uidvalidity"]) if document else seconds

    @reaching
    async def rename(self, folder: Folder, name: str) -> None:
        """Give a folder another name. Its letters keep their numbers; those it has now carry the new name, too.

        Raises:
            FolderExists: there is one of that name.
            FolderMissing: it is gone.
        """
        try:
            result = await self._folders.update_one(
                {"_id": folder.id, "name": {"$exists": True}}, {"$set": {"name": name, "is_renaming": True}}
            )
        except DuplicateKeyError:
            raise FolderExists(name) from None
        if not result.matched_count:
            raise FolderMissing(folder.name)
        await self.rename_letters(folder.id, name)

    @reaching
    async def rename_letters(self, folder_id: str, name: str) -> None:
        """Have the numbered letters of a folder carry its name; also after a crash has kept another from it."""
        await self._letters.update_many({"folder_id": folder_id, "folder": {"$ne": name}}, {"$set": {"folder": name}})
        await self._folders.update_one({"_id": folder_id, "name": name}, {"$unset": {"is_renaming": ""}})

    @reaching
    async def remove(self, folder: Folder) -> None:
        """Take a folder away, of which no letters are left; its tombstones go with it."""
        await self._remove([folder.id])

    @reaching
    async def remove_all(self, address: str) -> None:
        """Take all folders of a user away, who has no letters left: who has his address later has none of them."""
        cursor = self._folders.find({"address": address, "name": {"$exists": True}}, {"_id": 1})
        await self._remove([document["_id"] async for document in cursor])

    async def _remove(self, ids: list[str]) -> None:
        await self._folders.delete_many({"_id": {"$in": ids}})
        await self._tombstones.delete_many({"folder": {"$in": ids}})
        # Nobody will make tombstones of these.
        gone = {"$in": ids}
        await self._letters.update_many({"news": gone}, {"$pull": {"left": {"folder": gone}, "news": gone}})
        await self._letters.update_many({"news": []}, {"$unset": {"news": ""}})

    @reaching
    async def renew(self, now: datetime) -> None:
        """All folders are others from now on: numbers that clients have seen may be given again (RFC 9051 section
        2.3.1.1). For a database that was put back."""
        above = {"$max": [int(now.timestamp()), {"$add": ["$uidvalidity", 1]}]}
        await self._folders.update_many({}, [{"$set": {"uidvalidity": above}}])
        await self._mailboxes.update_many({}, [{"$set": {"uidvalidity": above}}])

    @reaching
    async def subscribe(self, address: str, name: str, is_subscribed: bool) -> bool:
        """False: there is no such folder, and, where it is to be unsubscribed, was none that is still subscribed."""
        change = {"$set": {"is_subscribed": is_subscribed}}
        found = (await self._folders.update_one({"address": address, "name": name}, change)).matched_count
        if is_subscribed or found:
            return bool(found)
        gone = await self._mailboxes.update_one({"_id": address, "missed": name}, {"$pull": {"missed": name}})
        return bool(gone.matched_count)

    @reaching
    async def missed(self, address: str) -> list[str]:
        """Names that are subscribed, of folders that are no more (RFC 9051 section 6.3.7)."""
        document = await self._mailboxes.find_one({"_id": address}, {"missed": 1})
        return sorted((document or {}).get("missed", []))

    @reaching
    async def miss(self, folder: Folder) -> None:
        """The folder is about to go; its subscription stays."""
        await self._mailboxes.update_one({"_id": folder.address}, {"$addToSet": {"missed": folder.name}}, upsert=True)

    # Jobs

    @reaching
    async def begin(self, folder: Folder, job: Job) -> bool:
        """Begin a job on the folder as it was read. False: it has moved on, or another job is under way."""
        result = await self._folders.update_one(
            {"_id": folder.id, "modseq": folder.modseq, "job": {"$exists": False}, "name": {"$exists": True}},
            {"$set": {"job": job}},
        )
        return bool(result.matched_count)

    @reaching
    async def finish(self, folder_id: str, job: Job) -> None:
        """All of the job is applied: readers may see it. Where another has finished it before, nothing changes."""
        await self._folders.update_one(
            {"_id": folder_id, "job.modseq": job["modseq"], "job.token": job["token"]},
            {"$set": {"modseq": job["modseq"], "uidnext": job["uidnext"]}, "$unset": {"job": ""}},
        )


def _folder(document: dict[str, Any]) -> Folder:
    return Folder(
        id=document["_id"],
        address=document["address"],
        name=document["name"],
        uidvalidity=document["uidvalidity"],
        uidnext=document["uidnext"],
        modseq=document["modseq"],
        is_subscribed=document["is_subscribed"],
        use=document["use"],
        job=document.get("job"),
        is_renaming="is_renaming" in document,
    )


def _document(folder: Folder, now: datetime) -> dict[str, Any]:
    return {
        "_id": folder.id,
        "address": folder.address,
        "name": folder.name,
        "uidvalidity": folder.uidvalidity,
        "uidnext": folder.uidnext,
        "modseq": folder.modseq,
        "is_subscribed": folder.is_subscribed,
        "use": folder.use,
        "made_at": now,
    }
