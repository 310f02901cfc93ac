"""Who did what, when, to what: a line for each deed of a person that changes more than his own letters."""

from datetime import datetime
from typing import Any

from bson import ObjectId

from shared import logs
from shared.mailbox.connect import Database, reaching

log = logs.get("audit")


class Audit:
    """The collection `audit`; `_id` rises with time."""

    def __init__(self, database: Database) -> None:
        self._audit = database["audit"]

    @reaching
    async def note(self, who: str, deed: str, on: str, now: datetime, **details: Any) -> None:
        """Keep a line, and log it."""
        log.info("audit", who=who, deed=deed, on=on, **details)
        await self._audit.insert_one({"at": now, "who": who, "deed": deed, "on": on, "details": details})

    @reaching
    async def page(self, before: str | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` lines, newest first, older than the id `before`."""
        query = {"_id": {"$lt": ObjectId(before)}} if before and ObjectId.is_valid(before) else {}
        return [document async for document in self._audit.find(query).sort("_id", -1).limit(limit)]
