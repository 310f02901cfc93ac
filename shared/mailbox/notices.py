"""Notices of failure, to the senders of letters that are only forwarded: nobody could have read such a letter here.

A letter that is parked carries `notice_due`, since when, until its notice is written; every move out of `parked` takes
the mark off again. The mark is set whether or not there is a relay for notices, because moves know no settings. Only a
forwarder that has a relay looks for marks, and only for young ones: a relay that is set up one day must not send what
failed long before.

A notice is a letter like any other, to be forwarded only, in nobody's folder: to the administrators' mailbox, with
`notice: {recipient, of}`, the sender that it goes to and the letter that it tells of. Its ids derive from that letter
and its arming, so that written again it is the same one (design rule 1); it has that letter's partition and offset, so
that its gravestone stays for as long as the other's record can come again (rule 3).
"""

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from shared.failpoints import failpoint
from shared.letter import Mode, State, letter_id
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import EVENT_GRACE, Letter, Letters, new_letter
from shared.mailbox.marks import marked
from shared.mailbox.users import POSTMASTER

# RFC 5321 section 4.5.4.1 lets a sender wait four to five days for news; what comes later puzzles him.
YOUNG = timedelta(days=5)
# base32 as RFC 4648 has it, turned into that of ULIDs.
_AS_ULID = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_ULID_TIME = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that is to be sent: the letter that it tells of as it was read, its own document, and its bytes."""

    of: Letter
    document: Letter
    raw: bytes


def owed(when: Any, now: datetime) -> dict[str, Any]:
    """Fields for an update's `$set` stage: the mark, where the expression `when` says that the letter is parked by it
    and its sender is to be told. Nobody answers the null sender, nor a notice (RFC 5321 section 4.5.5)."""
    is_owed = [
        when,
        {"$eq": ["$mode", str(Mode.FORWARD_ONLY)]},
        {"$ne": ["$sender", ""]},
        {"$eq": [{"$type": "$notice"}, "missing"]},
    ]
    return {"notice_due": {"$cond": [{"$and": is_owed}, now, "$$REMOVE"]}}


def notice_receipt_id(letter: str, arming: int) -> str:
    """The receipt id of the notice that letter `letter` failed in that arming: a ULID of the letter's time."""
    digest = hashlib.blake2b(f"{letter}.notice.{arming}".encode(), digest_size=10).digest()
    return letter[:_ULID_TIME] + b32encode(digest).decode().translate(_AS_ULID)


def notice_of(original: Letter, raw: bytes, destination: str, now: datetime) -> Notice:
    """The notice `raw` of `original`, to be handed to `destination`."""
    receipt = notice_receipt_id(original["_id"], original["forward"]["arming"])
    document = new_letter(
        letter_id=letter_id(receipt, POSTMASTER),
        receipt_id=receipt,
        address=POSTMASTER,
        partition=original["partition"],
        offset=original["offset"],
        folder=None,
        mode=str(Mode.FORWARD_ONLY),
        destination=destination,
        size=len(raw),
        received_at=original["notice_due"],
        sender="",
        spam=None,
        now=now,
        due=now + EVENT_GRACE,
    )
    document["notice"] = {"recipient": original["sender"], "of": original["_id"]}
    return Notice(original, document | marked("stored", document["forward"]["arming"], now, {"cause": "notice"}), raw)


class Notices:
    """The marks on letters, and the notices that answer them."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]
        self._documents = Letters(database)
        self._bodies = Bodies(database)

    @reaching
    async def due(self, partitions: Iterable[int], now: datetime, limit: int) -> list[Letter]:
        """Letters of `partitions` whose senders are to be told, the longest parked first."""
        query = {**_OWING, "partition": {"$in": sorted(partitions)}, "notice_due": {"$gte": now - YOUNG}}
        cursor = self._letters.find(query).sort("notice_due", 1).limit(limit)
        return [document async for document in cursor]

    async def send(self, notices: Sequence[Notice]) -> set[str]:
        """Put notices on their way; returns the ids of those that are new.

        Not those of letters that are armed anew, delivered or deleted meanwhile. Doing it again after a crash between
        any two steps changes nothing. Raises MailboxUnavailable.
        """
        standing = await self._standing(notices)
        await self._keep_bodies(standing)
        failpoint("forwarder.before_notice")
        known = await self._documents.insert([notice.document for notice in standing])
        await self._release_gone(sorted(known))
        failpoint("forwarder.before_notice_settled")
        await self.settle([notice.of for notice in standing])
        return {notice.document["_id"] for notice in standing} - known

    @reaching
    async def _standing(self, notices: Sequence[Notice]) -> list[Notice]:
        """Those whose letter is still parked in the arming that they tell of."""
        query = {**_OWING, "_id": {"$in": [notice.of["_id"] for notice in notices]}}
        found = self._letters.find(query, {"forward.arming": 1})
        armings = {document["_id"]: document["forward"]["arming"] async for document in found}
        return [notice for notice in notices if armings.get(notice.of["_id"]) == notice.of["forward"]["arming"]]

    async def _keep_bodies(self, notices: Sequence[Notice]) -> None:
        """Body before letter (design rule 2). Never large enough for a file, so there is no origin to be told."""
        bodies = [(notice.document["receipt_id"], notice.raw, [notice.document["_id"]]) for notice in notices]
        await self._bodies.insert(bodies, origin={})

    async def _release_gone(self, known: Sequence[str]) -> None:
        """One that was delivered and purged before its mark was taken off has a body again: it must not stay."""
        released: dict[str, list[str]] = {}
        for letter, receipt in await self._documents.gone(known) if known else []:
            released.setdefault(receipt, []).append(letter)
        await self._bodies.release(released)

    @reaching
    async def settle(self, letters: Sequence[Letter]) -> None:
        """Nothing is owed any more for `letters`, as they were read; a later arming's mark stays."""
        writes = [
            UpdateOne(
                {"_id": letter["_id"], "forward.arming": letter["forward"]["arming"]}, {"$unset": {"notice_due": ""}}
            )
            for letter in letters
        ]
        if writes:
            await self._letters.bulk_write(writes, ordered=False)


_OWING: dict[str, Any] = {
    "forward.state": State.PARKED,
    "binned": {"$exists": False},
    "notice_due": {"$exists": True},
}
