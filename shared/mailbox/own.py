"""Letters that a person puts in himself: appended, or copied. They are his, and nobody forwards them.

First a note is written down, {_id: letter id, receipt_id, at}, then the body gains the letter, then the letter is put
in, then the note goes: a crash in between leaves a body too many, which a sweep finds by the note, and never one too
few (design rule 2).
"""

import secrets
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ulid import ULID

from shared.letter import Mode, State
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database, reaching
from shared.mailbox.folders import Folder
from shared.mailbox.letters import Letter, Letters
from shared.mailbox.places import unnumbered

# No record of `received` stands behind these: their gravestones go with the next look.
_NO_OFFSET = 0
_COPIED_FIELDS = ("size", "received_at", "internal_date", "sender", "spam", "flags", "summary", "partition")


class OwnLetters:
    """Puts letters in without mail."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._letters_of = database["letters"]
        self._notes = database["own_pending"]
        self._letters = Letters(database)
        self._bodies = Bodies(database)
        self._partitions = partitions

    async def append(
        self,
        folder: Folder,
        messages: Sequence[tuple[bytes, Sequence[str], datetime | None]],
        *,
        token: str,
        now: datetime,
    ) -> list[str]:
        """Put bytes, each with flags and the date that it is to show, into a folder; returns the letters' ids.

        Age counts from now (P4): this system has not seen them before.
        """
        letters = []
        for raw, flags, at in messages:
            receipt_id = str(ULID.from_datetime(now))
            letter = self._letter(receipt_id, folder, token)
            letter |= {"size": len(raw), "received_at": now, "sender": "", "spam": None, "flags": list(flags)}
            letter["partition"] = zlib.crc32(receipt_id.encode()) % self._partitions
            if at is not None:
                letter["internal_date"] = at
            letters.append(letter)
        await self._note(letters, now)
        for letter, (raw, _, _) in zip(letters, messages, strict=True):
            await self._bodies.insert_own(letter["receipt_id"], raw, letter["_id"])
        return await self._put_in(letters)

    async def copy(
        self, source: Folder, uids: Sequence[int], to: Folder, *, token: str, now: datetime
    ) -> dict[int, str]:
        """Copy letters into another folder: the number of each that was copied, with the copy's id. One whose body is
        gone meanwhile is left out."""
        originals = await self._originals(source, uids)
        copies = []
        numbers: dict[int, str] = {}
        for original in originals:
            copy = self._letter(original["receipt_id"], to, token)
            copy |= {name: original[name] for name in _COPIED_FIELDS if name in original}
            copies.append(copy)
            numbers[original["uid"]] = copy["_id"]
        await self._note(copies, now)
        joined = await self._bodies.join({copy["_id"]: copy["receipt_id"] for copy in copies})
        await self._put_in([copy for copy in copies if copy["_id"] in joined])
        return {uid: letter for uid, letter in numbers.items() if letter in joined}

    @reaching
    async def _originals(self, source: Folder, uids: Sequence[int]) -> list[Letter]:
        cursor = self._letters_of.find({"folder_id": source.id, "uid": {"$in": list(uids)}}, {"forward": 0})
        cursor.sort("uid", 1)
        return await cursor.to_list(None)

    def _letter(self, receipt_id: str, folder: Folder, token: str) -> dict[str, Any]:
        return {
            "_id": f"{receipt_id}-{secrets.token_hex(8).upper()}",
            "receipt_id": receipt_id,
            "address": folder.address,
            "offset": _NO_OFFSET,
            "folder": folder.name,
            "mode": str(Mode.STORE_ONLY),
            "removals": 0,
            "forward": {"state": str(State.NONE), "arming": 0, "attempts": 0, "unknown": 0},
            **unnumbered(folder.address, folder.name, token),
        }

    @reaching
    async def _note(self, letters: Sequence[Letter], now: datetime) -> None:
        if letters:
            notes = [{"_id": letter["_id"], "receipt_id": letter["receipt_id"], "at": now} for letter in letters]
            await self._notes.insert_many(notes, ordered=False)

    async def _put_in(self, letters: list[Letter]) -> list[str]:
        ids = [letter["_id"] for letter in letters]
        await self._letters.insert(letters)
        await self._noted(ids)
        return ids

    @reaching
    async def _noted(self, ids: Sequence[str]) -> None:
        await self._notes.delete_many({"_id": {"$in": list(ids)}})

    @reaching
    async def sweep(self, before: datetime, limit: int) -> int:
        """Release bodies from letters that a crash kept from being written before that moment; returns how many."""
        notes = await self._notes.find({"at": {"$lte": before}}).limit(limit).to_list(None)
        there = {letter["_id"] for letter in await self._letters.many([note["_id"] for note in notes])}
        lost: dict[str, list[str]] = {}
        for note in notes:
            if note["_id"] not in there:
                lost.setdefault(note["receipt_id"], []).append(note["_id"])
        await self._bodies.release(lost)
        await self._noted([note["_id"] for note in notes])
        return sum(map(len, lost.values()))
