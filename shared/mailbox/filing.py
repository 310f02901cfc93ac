"""Letters into the bin from a folder, and from one folder into another: what a person does to many at once.

A move into Trash is a person's deletion: it cancels the forward in the same write. A move back out of it arms the
forward again where it had been cancelled (N7 of what is promised). Nothing else that moves touches a forward.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.letter import State
from shared.mailbox.claims import _armed_again
from shared.mailbox.connect import Database, reaching
from shared.mailbox.folders import Folder
from shared.mailbox.marks import marking
from shared.mailbox.places import filing
from shared.mailbox.removal import _cancelling, _deleted

TRASH = "\\Trash"


class Filing:
    """Numbered letters of a folder, moved."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def bin(
        self, folder: Folder, uids: Sequence[int], *, flag: str | None, now: datetime, expires_at: datetime
    ) -> list[str]:
        """Delete as a person does: into the bin, the forward cancelled, or wished to be where it is in flight. With
        `flag` only letters that carry it at that moment. Returns the ids, of which the marked events are to be told."""
        query: dict[str, Any] = {"folder_id": folder.id, "uid": {"$in": list(uids)}}
        if flag is not None:
            query["flags"] = flag
        ids = [document["_id"] async for document in self._letters.find(query, {"_id": 1})]
        if ids:
            change = [{"$set": _deleted("user", now, expires_at, None)}]
            await self._letters.update_many({"_id": {"$in": ids}, **query}, change)
        return ids

    @reaching
    async def move(
        self,
        source: Folder,
        uids: Sequence[int],
        to: Folder,
        *,
        token: str,
        now: datetime,
        destination: str | None,
    ) -> dict[str, int]:
        """Move letters, by one update; each stands in `to` under `token`, to be numbered there. `destination` is where
        forwards go that are armed again; None: nowhere. Returns the ids that moved, each with the number it had."""
        query = {"folder_id": source.id, "uid": {"$in": list(uids)}}
        found = {d["_id"]: d["uid"] async for d in self._letters.find(query, {"uid": 1})}
        fields = filing(to.address, to.name, token)
        if to.use == TRASH and source.use != TRASH:
            fields |= _trashed(now)
        elif source.use == TRASH and to.use != TRASH:
            fields |= _taken_back(now, destination)
        await self._letters.update_many({"_id": {"$in": list(found)}, **query}, [{"$set": fields}])
        return found


def _trashed(now: datetime) -> dict[str, Any]:
    number = {"$add": ["$removals", 1]}
    told = {"mailbox": "$folder", "reason": "trash", "forward_was": "$forward.state", "rule_id": None}
    return {"removals": number, **_cancelling(), **marking("deleted", number, now, told)}


def _taken_back(now: datetime, destination: str | None) -> dict[str, Any]:
    """Cancelled is armed again, in flight loses its wish; each only where it is so."""
    is_cancelled: Any = {"$eq": ["$forward.state", State.CANCELLED]}
    unwished = {"forward.wish": "$$REMOVE"}
    if destination is None:
        return unwished
    armed = _armed_again(now)
    mark = marking("stored", armed["forward.arming"], now, {"cause": "restored"}, when=is_cancelled)
    fields = {n: {"$cond": [is_cancelled, value, f"${n}"]} for n, value in armed.items() if n.startswith("forward.")}
    where = {"forward.destination": {"$cond": [is_cancelled, destination, "$forward.destination"]}}
    return {**unwished, **fields, **where, **mark}
