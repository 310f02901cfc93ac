"""What the jobs of folders do to letters (folders.py says what a job is): numbers, tombstones, flags.

    job: {modseq, token, uidnext, at, first_uid, number: [[letter id, unnumbered token]], left: [uid], stirred: [uid],
          flags: {how, flags, uids: [[first, last]]}}

Each leaves one entry in the log of changes, {folder, modseq, uids: [[first, last]], at}: by these, views find what to
read again. The log is short; a view that finds a gap in it reads all.

Each write of a job can be repeated, also late, after the job was finished by another: it matches the state that the job
began from, and letters that a later job has touched carry a higher modseq.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from shared.mailbox.connect import Database, reaching
from shared.mailbox.folders import Folder, Job
from shared.mailbox.letters import Letter, _only_duplicates
from shared.mailbox.places import ARRIVED, arrival, numbered, told

# Numbers given by one job (design rule 16), and by one write of it.
MOST_NUMBERED = 2000
_NUMBERED_AT_ONCE = 250
MOST_LEFT = 5000
# Letters whose flags one write sets.
SET_AT_ONCE = 2500
# Rows that are read together: some 10 ms of the event loop.
_ROWS_AT_ONCE = 4000
MOST_CHANGED = 20_000
_ROW_FIELDS = dict.fromkeys(
    (
        *("uid", "modseq", "size", "flags", "received_at", "internal_date", "pop3_hidden"),
        *("forward.state", "forward.attempts"),
    ),
    1,
)


@dataclass(frozen=True, slots=True)
class Pending:
    """What has happened to a folder's letters that it does not know of yet."""

    arrived: list[tuple[str, str]]
    left: list[int]
    stirred: list[int]

    @property
    def is_empty(self) -> bool:
        return not (self.arrived or self.left or self.stirred)

    @property
    def is_full(self) -> bool:
        """There may be more."""
        return len(self.arrived) == MOST_NUMBERED or len(self.left) >= MOST_LEFT or len(self.stirred) == MOST_LEFT


class Numbering:
    """The letters of folders, as their jobs handle them."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]
        self._tombstones = database["tombstones"]
        self._changes = database["changes"]

    # What there is to do

    @reaching
    async def is_settled(self, folder: Folder) -> bool:
        """Whether nothing is pending: one question, for the many times that this is so."""
        return await self._letters.find_one({"news": {"$in": _names(folder)}}, {"_id": 1}) is None

    @reaching
    async def arrived(self, folder: Folder) -> list[tuple[str, str]]:
        """Letters without a number, in order of arrival: id, and the token that numbering has to match."""
        query = {"news": arrival(folder.address, folder.name)}
        cursor = self._letters.find(query, {"unnumbered": 1}).sort("_id", 1).limit(MOST_NUMBERED)
        return [(document["_id"], document["unnumbered"]) async for document in cursor]

    @reaching
    async def left(self, folder: Folder) -> list[int]:
        """Numbers whose letters have gone, and that have no tombstone yet."""
        query = {"news": folder.id, "left.folder": folder.id}
        cursor = self._letters.find(query, {"left": 1}).limit(MOST_LEFT)
        places = [place async for document in cursor for place in document["left"]]
        return sorted({place["uid"] for place in places if place["folder"] == folder.id})

    @reaching
    async def stirred(self, folder: Folder) -> list[int]:
        """The numbers of letters that readers may see differently now."""
        query = {"news": folder.id, "folder_id": folder.id, "stirred": {"$exists": True}}
        return [document["uid"] async for document in self._letters.find(query, {"uid": 1}).limit(MOST_LEFT)]

    @reaching
    async def busy(self, folders: Sequence[Folder]) -> set[str]:
        """The ids of those of `folders` that have something pending: one look for all that is watched."""
        names = {name: folder.id for folder in folders for name in _names(folder)}
        found = await self._letters.distinct("news", {"news": {"$in": list(names)}})
        return {names[name] for name in found if name in names}

    # Doing it

    async def apply(self, folder: Folder, job: Job) -> None:
        """Do all that `job` says. Raises MailboxUnavailable: then it may be half done, and is to be done again."""
        if job.get("number"):
            await self._number(folder, job)
        if job.get("left"):
            await self._bury(folder, job)
        if job.get("stirred"):
            await self._settle(folder, job)
        if job.get("flags"):
            await self._set_flags(folder, job)
        await self._log(folder, job)

    @reaching
    async def _log(self, folder: Folder, job: Job) -> None:
        name = f"{folder.id}.{job['modseq']}"
        entry = {"folder": folder.id, "modseq": job["modseq"], "uids": _changed(job), "at": job["at"]}
        await self._changes.update_one({"_id": name}, {"$setOnInsert": entry}, upsert=True)

    @reaching
    async def _number(self, folder: Folder, job: Job) -> None:
        """In order of arrival. A place in the list is a number: where a letter has gone meanwhile, a number is lost."""
        numbered = [(uid, *pair) for uid, pair in enumerate(job["number"], job["first_uid"])]
        arrived = [(uid, letter) for uid, letter, token in numbered if token == ARRIVED]
        filed = [one for one in numbered if one[2] != ARRIVED]
        at = {"folder": folder.name, "address": folder.address}
        chunks = [arrived[start : start + _NUMBERED_AT_ONCE] for start in range(0, len(arrived), _NUMBERED_AT_ONCE)]
        # Beside each other: the database has more than one processor.
        await asyncio.gather(*(self._number_some(folder, job, at, some) for some in chunks))
        if filed:
            writes = [
                UpdateOne({"_id": letter, **at, "unnumbered": token}, [{"$set": _numbered(folder, uid, job)}])
                for uid, letter, token in filed
            ]
            await self._letters.bulk_write(writes, ordered=False)

    async def _number_some(self, folder: Folder, job: Job, at: dict[str, Any], some: list[tuple[int, str]]) -> None:
        """Letters that came by mail, by one update: each finds its number by its place in the list."""
        ids = [letter for _, letter in some]
        place = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
        uid = {"$arrayElemAt": [{"$literal": [uid for uid, _ in some]}, place]}
        change = [{"$set": _numbered(folder, uid, job)}]
        await self._letters.update_many({"_id": {"$in": ids}, **at, "unnumbered": ARRIVED}, change)

    @reaching
    async def _bury(self, folder: Folder, job: Job) -> None:
        stones = [
            {"_id": f"{folder.id}.{uid}", "folder": folder.id, "uid": uid, "modseq": job["modseq"], "at": job["at"]}
            for uid in job["left"]
        ]
        try:
            await self._tombstones.insert_many(stones, ordered=False)
        except BulkWriteError as error:
            _only_duplicates(error)
        buried = {"$in": job["left"]}
        query = {"news": folder.id, "left.folder": folder.id, "left.uid": buried}
        is_buried = {"$and": [{"$eq": ["$$place.folder", folder.id]}, {"$in": ["$$place.uid", job["left"]]}]}
        left = {"$filter": {"input": "$left", "as": "place", "cond": {"$not": is_buried}}}
        await self._letters.update_many(query, [{"$set": {"left": left}}, {"$set": told(folder.id)}])

    @reaching
    async def _settle(self, folder: Folder, job: Job) -> None:
        """What stirs again behind this write has its mark anew, and its turn in the next job."""
        query = {"folder_id": folder.id, "uid": {"$in": job["stirred"]}, "modseq": {"$lt": job["modseq"]}}
        settled = {"modseq": job["modseq"], "stirred": "$$REMOVE"}
        await self._letters.update_many(query, [{"$set": settled}, {"$set": told(folder.id)}])

    @reaching
    async def _set_flags(self, folder: Folder, job: Job) -> None:
        wanted = job["flags"]
        flags = wanted["flags"]
        change = {**_change(wanted["how"], flags), "$set": {"modseq": job["modseq"]}}
        if wanted["how"] == "replace":
            change = {"$set": {"flags": flags, "modseq": job["modseq"]}}
        query = {"folder_id": folder.id, "modseq": {"$lt": job["modseq"]}}
        would = _would_change(wanted["how"], flags)
        # Beside each other, as numbers are given.
        await asyncio.gather(
            *(
                self._letters.update_many({**query, "$and": [_in_ranges(some), would]}, change)
                for some in _parts(wanted["uids"])
            )
        )

    # What readers see

    @reaching
    async def changed(self, folder: Folder, since: int) -> list[Letter] | None:
        """The letters that may be seen and changed after modseq `since`, by UID, and maybe others. None: the log does
        not reach back so far, or names so much that all may be read."""
        ranges = await self._changed_after(folder, since)
        if ranges is None or sum(last - first + 1 for first, last in ranges) > MOST_CHANGED:
            return None
        query = {"$and": [{"folder_id": folder.id, "uid": {"$lt": folder.uidnext}}, _in_ranges(ranges)]}
        cursor = self._letters.find(query, _ROW_FIELDS)
        cursor.sort("uid", 1)
        return await cursor.to_list(None)

    async def rows(self, folder: Folder) -> AsyncIterator[list[Letter]]:
        """All letters that may be seen, by UID, some at a time: others have their turn in between. Raises
        MailboxUnavailable."""
        after = 0
        while some := await self._rows_after(folder, after):
            yield some
            after = some[-1]["uid"]

    @reaching
    async def _rows_after(self, folder: Folder, uid: int) -> list[Letter]:
        query = {"folder_id": folder.id, "uid": {"$gt": uid, "$lt": folder.uidnext}}
        cursor = self._letters.find(query, _ROW_FIELDS)
        cursor.sort("uid", 1)
        cursor.limit(_ROWS_AT_ONCE)
        cursor.batch_size(_ROWS_AT_ONCE)
        return await cursor.to_list(None)

    async def _changed_after(self, folder: Folder, since: int) -> list[list[int]] | None:
        """Which numbers the log names; None: it does not reach back so far."""
        query = {"folder": folder.id, "modseq": {"$gt": since, "$lte": folder.modseq}}
        entries = await self._changes.find(query, {"uids": 1}).to_list(None)
        if len(entries) < folder.modseq - since:
            return None
        return [pair for entry in entries for pair in entry["uids"]]

    @reaching
    async def rows_of(self, folder: Folder, uids: Sequence[int]) -> list[Letter]:
        """These letters, as far as they are there."""
        query = {"folder_id": folder.id, "uid": {"$in": list(uids)}}
        return await self._letters.find(query, _ROW_FIELDS).to_list(None)

    @reaching
    async def gone(self, folder: Folder, since: int) -> list[int]:
        """Numbers that have gone after modseq `since`, as far as that may be seen."""
        query = {"folder": folder.id, "modseq": {"$gt": since, "$lte": folder.modseq}}
        return [stone["uid"] async for stone in self._tombstones.find(query, {"uid": 1})]

    @reaching
    async def remembers(self, folder: Folder, since: int) -> bool:
        """Whether every tombstone of after modseq `since` is still there: one from before it is."""
        query = {"folder": folder.id, "modseq": {"$lte": since}}
        return await self._tombstones.find_one(query, {"_id": 1}) is not None

    @reaching
    async def places(self, folder: Folder, ids: Sequence[str]) -> dict[str, int]:
        """The numbers that letters have in this folder, by letter id."""
        cursor = self._letters.find({"_id": {"$in": list(ids)}, "folder_id": folder.id}, {"uid": 1})
        return {document["_id"]: document["uid"] async for document in cursor}

    @reaching
    async def modseqs(self, folder: Folder, uids: Sequence[int]) -> dict[int, int]:
        """The modseq of each of these numbers that is there."""
        cursor = self._letters.find({"folder_id": folder.id, "uid": {"$in": list(uids)}}, {"uid": 1, "modseq": 1})
        return {document["uid"]: document["modseq"] async for document in cursor}


def _changed(job: Job) -> list[list[int]]:
    """The numbers that a job gives or touches, as ranges."""
    ranges = [[uid, uid] for uid in job.get("stirred") or []]
    if job.get("number"):
        ranges.append([job["first_uid"], job["uidnext"] - 1])
    return ranges + (job["flags"]["uids"] if job.get("flags") else [])


def _numbered(folder: Folder, uid: Any, job: Job) -> dict[str, Any]:
    return numbered(folder.id, uid, job["modseq"], arrival(folder.address, folder.name))


def _names(folder: Folder) -> list[str]:
    """By what letters may have news for a folder."""
    return [arrival(folder.address, folder.name), folder.id]


def _in_ranges(ranges: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Single numbers together, so that a list of thousands is one condition."""
    singles = [first for first, last in ranges if first == last]
    wide = [{"uid": {"$gte": first, "$lte": last}} for first, last in ranges if first != last]
    return {"$or": [*wide, {"uid": {"$in": singles}}]}


def _parts(ranges: Sequence[Sequence[int]]) -> list[list[list[int]]]:
    """Ranges in parts of SET_AT_ONCE numbers."""
    parts: list[list[list[int]]] = [[]]
    room = SET_AT_ONCE
    for first, last in ranges:
        while first <= last:
            end = min(last, first + room - 1)
            parts[-1].append([first, end])
            room -= end - first + 1
            first = end + 1
            if not room:
                parts.append([])
                room = SET_AT_ONCE
    return [part for part in parts if part]


def _would_change(how: str, flags: Sequence[str]) -> dict[str, Any]:
    """Letters that are like that already get no new modseq: nothing has changed for anybody."""
    match how:
        case "add":
            return {"flags": {"$not": {"$all": flags}}} if flags else {"_id": None}
        case "remove":
            return {"flags": {"$in": flags}}
    return {
        "$or": [{"flags": {"$not": {"$size": len(flags)}}}, *([{"flags": {"$not": {"$all": flags}}}] if flags else [])]
    }


def _change(how: str, flags: Sequence[str]) -> dict[str, Any]:
    return {"$addToSet": {"flags": {"$each": flags}}} if how == "add" else {"$pullAll": {"flags": flags}}
