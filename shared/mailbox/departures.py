"""Users on their way out: what is left of theirs, and its way into the bin."""

from datetime import datetime

from shared.mailbox.connect import Database, reaching
from shared.mailbox.removal import _deleted


class Departures:
    """Users who leave, and their letters."""

    def __init__(self, database: Database) -> None:
        self._users = database["users"]
        self._letters = database["letters"]

    @reaching
    async def leaving(self) -> list[str]:
        """The addresses of users who go when their last letter is forwarded."""
        return [document["_id"] async for document in self._users.find({"leaving": True}, {"_id": 1})]

    @reaching
    async def bin_some(self, address: str, now: datetime, expires_at: datetime, limit: int) -> list[str]:
        """Delete up to `limit` letters of a mailbox as an administrator does, each by its own compare-and-set; returns
        their ids, of which the marked events are to be told. Empty: none is left."""
        kept = {"gone": {"$exists": False}, "binned": {"$exists": False}}
        found = [d["_id"] async for d in self._letters.find({"address": address, **kept}, {"_id": 1}).limit(limit)]
        if found:
            change = [{"$set": _deleted("admin", now, expires_at, None)}]
            await self._letters.update_many({"_id": {"$in": found}, **kept}, change)
        return found
