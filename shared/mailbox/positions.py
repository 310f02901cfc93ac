"""How far the intake has come in `received`, by partition, kept with the letters themselves: when the database is put
back to an older state, this goes back with it and shows it (design rule 13)."""

from datetime import datetime

from pymongo import UpdateOne

from shared.mailbox.connect import Database, reaching


class Positions:
    """The collection `positions`; `_id` is the partition."""

    def __init__(self, database: Database) -> None:
        self._positions = database["positions"]

    @reaching
    async def note(self, next_offsets: dict[int, int], now: datetime) -> None:
        """All records below these offsets are in the mailbox. Never goes back."""
        writes = [
            UpdateOne({"_id": partition}, {"$max": {"offset": offset, "at": now}}, upsert=True)
            for partition, offset in next_offsets.items()
        ]
        await self._positions.bulk_write(writes, ordered=False)

    @reaching
    async def noted(self) -> dict[int, tuple[int, datetime]]:
        """For each partition the next offset, and when that was written."""
        return {d["_id"]: (d["offset"], d["at"]) async for d in self._positions.find({})}
