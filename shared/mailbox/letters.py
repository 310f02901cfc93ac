"""Letters as documents: put in, looked up, listed. What changes one's state is in claims.py and removal.py.

    {_id, receipt_id, address, partition, offset, folder, mode, size, received_at, sender, spam, flags, removals,
     client: {address, name, helo},
     forward: {state, arming, armed_at, destination, due, attempts, unknown, refused_at, last, history, claim, wish,
               forwarded_at},
     binned: {reason, at, expires_at, forward_was}, copy_due, unannounced, unannounced_since, summary, notice_due,
     notice: {recipient, of}, unnumbered | folder_id, uid, modseq, stirred; left: [{folder, uid}], internal_date,
     pop3_hidden, news}

`forward.due` is there only while the letter waits, `forward.claim` only while it is in flight, `binned` only in the
bin, `notice_due` only while parked: partial indexes stand on that. Its place in a folder is told in places.py. A purged
letter leaves {_id, gone}, so that its record cannot bring it back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from shared.letter import State
from shared.mailbox.connect import Database, reaching
from shared.mailbox.places import unnumbered

Letter = dict[str, Any]

# An event has so long to bring a new letter to a forwarder before a look at the backlog does.
EVENT_GRACE = timedelta(seconds=10)
_DUPLICATE_KEY = 11000
INBOX = "INBOX"


def new_letter(
    *,
    letter_id: str,
    receipt_id: str,
    address: str,
    partition: int,
    offset: int,
    folder: str | None,
    mode: str,
    destination: str | None,
    size: int,
    received_at: datetime,
    sender: str,
    spam: dict[str, Any] | None,
    now: datetime,
    due: datetime,
    client: dict[str, Any] | None = None,
) -> Letter:
    """The document of a letter that has just come in. Without a destination nothing is to be forwarded.

    `due` is when a look at the backlog may bring it, should its event not have. `client` is who handed the
    letter in: address, and name and helo where they are known; None: we did.
    """
    forward: dict[str, Any] = {"state": str(State.NONE), "arming": 0, "attempts": 0, "unknown": 0}
    if destination is not None:
        forward |= {"state": str(State.PENDING), "arming": 1, "armed_at": now, "destination": destination, "due": due}
    letter: Letter = {
        "_id": letter_id,
        "receipt_id": receipt_id,
        "address": address,
        "partition": partition,
        "offset": offset,
        "folder": folder,
        "mode": mode,
        "size": size,
        "received_at": received_at,
        "sender": sender,
        "spam": spam,
        "flags": [],
        "removals": 0,
        "forward": forward,
    }
    if client is not None:
        letter["client"] = client
    if folder is not None:
        letter |= unnumbered(address, folder)
    return letter


class Letters:
    """The collection `letters`."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def insert(self, letters: Sequence[Letter]) -> set[str]:
        """Put letters in; returns the ids of those that had been there before, as letters or as gravestones."""
        if not letters:
            return set()
        try:
            await self._letters.bulk_write([InsertOne(letter) for letter in letters], ordered=False)
        except BulkWriteError as error:
            return {letters[fault["index"]]["_id"] for fault in _only_duplicates(error)}
        return set()

    @reaching
    async def gone(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The gravestones among `ids`: (letter id, receipt id)."""
        cursor = self._letters.find({"_id": {"$in": list(ids)}, "gone": {"$exists": True}}, {"gone.receipt_id": 1})
        return [(document["_id"], document["gone"]["receipt_id"]) async for document in cursor]

    @reaching
    async def get(self, letter_id: str) -> Letter | None:
        """The letter, in a mailbox or in the bin."""
        return await self._letters.find_one({"_id": letter_id, "gone": {"$exists": False}})

    @reaching
    async def many(self, ids: Sequence[str]) -> list[Letter]:
        """Those of `ids` that exist."""
        cursor = self._letters.find({"_id": {"$in": list(ids)}, "gone": {"$exists": False}})
        return [document async for document in cursor]

    @reaching
    async def page(
        self, address: str, *, folder: str | None, unfiled: bool, state: str | None, before: str | None, limit: int
    ) -> list[Letter]:
        """Up to `limit` letters of a mailbox, newest first, not those in the bin, older than the id `before`. Without
        `folder`: of all folders, and where `unfiled` also those in none."""
        query: dict[str, Any] = {"address": address, "binned": {"$exists": False}}
        if folder is not None or not unfiled:
            query["folder"] = folder if folder is not None else {"$ne": None}
        if state is not None:
            query["forward.state"] = state
        if before is not None:
            query["_id"] = {"$lt": before}
        cursor = self._letters.find(query).sort("_id", -1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def folders(self, address: str) -> dict[str, tuple[int, int]]:
        """For each folder that holds letters: how many, and how many of them unread."""
        unread = {"$cond": [{"$in": ["\\Seen", "$flags"]}, 0, 1]}
        stages: list[dict[str, Any]] = [
            {"$match": {"address": address, "binned": {"$exists": False}, "folder": {"$ne": None}}},
            {"$group": {"_id": "$folder", "letters": {"$sum": 1}, "unread": {"$sum": unread}}},
        ]
        return {row["_id"]: (row["letters"], row["unread"]) async for row in self._letters.aggregate(stages)}

    @reaching
    async def octets(self, address: str) -> int:
        """What the letters in a user's folders take together; not the bin."""
        stages: list[dict[str, Any]] = [
            {"$match": {"address": address, "binned": {"$exists": False}, "folder": {"$ne": None}}},
            {"$group": {"_id": None, "octets": {"$sum": "$size"}}},
        ]
        return sum([row["octets"] async for row in self._letters.aggregate(stages)])

    @reaching
    async def hide_from_pop3(self, ids: Sequence[str]) -> None:
        """POP3 shows these letters no more."""
        await self._letters.update_many({"_id": {"$in": list(ids)}}, {"$set": {"pop3_hidden": True}})

    @reaching
    async def unfinished(self, address: str) -> int:
        """How many letters of a user are not through: their forward is pending, deferred or in flight."""
        states = [State.PENDING, State.IN_FLIGHT, State.DEFERRED]
        return await self._letters.count_documents({"address": address, "forward.state": {"$in": states}})

    @reaching
    async def keep_summaries(self, summaries: dict[str, dict[str, Any]]) -> None:
        """Write down what the headers of letters were found to say."""
        if summaries:
            writes = [
                UpdateOne({"_id": i, "gone": {"$exists": False}}, {"$set": {"summary": s}})
                for i, s in summaries.items()
            ]
            await self._letters.bulk_write(writes, ordered=False)


def _only_duplicates(error: BulkWriteError) -> list[dict[str, Any]]:
    """The write errors, if all are duplicate keys; otherwise the error itself goes on."""
    details = error.details or {}
    faults: list[dict[str, Any]] = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(fault["code"] != _DUPLICATE_KEY for fault in faults):
        raise error
    return faults
