"""What waits for which destination, and the letters that an event did not bring."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.letter import WAITING
from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import Letter


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one destination. `oldest_at` is when the oldest of it was received."""

    destination: str
    letters: int
    oldest_at: datetime


class Destinations:
    """Letters by destination, and the collection `destinations`: what was last heard of each."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]
        self._destinations = database["destinations"]

    @reaching
    async def due(self, names: Iterable[str], partitions: Iterable[int], now: datetime, limit: int) -> list[Letter]:
        """Letters of `partitions` that wait for one of `names` and are due, soonest due first within each: id,
        destination, partition and size."""
        query = {
            "forward.destination": {"$in": sorted(names)},
            "partition": {"$in": sorted(partitions)},
            "forward.due": {"$lte": now},
        }
        cursor = self._letters.find(query, {"forward.destination": 1, "partition": 1, "size": 1}).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def waiting(self, partitions: Iterable[int] | None = None) -> list[Waiting]:
        """What waits for each destination, in `partitions` or in all. Read from an index alone."""
        match: dict[str, Any] = {"forward.due": {"$exists": True}, "forward.destination": {"$gt": ""}}
        if partitions is not None:
            match["partition"] = {"$in": sorted(partitions)}
        group = {"_id": "$forward.destination", "letters": {"$sum": 1}, "oldest_at": {"$min": "$received_at"}}
        stages: list[dict[str, Any]] = [{"$match": match}, {"$group": group}]
        rows = self._letters.aggregate(stages)
        return [Waiting(row["_id"], row["letters"], row["oldest_at"]) async for row in rows]

    @reaching
    async def in_flight(self) -> dict[str, int]:
        """How many letters are in flight, by destination."""
        stages: list[dict[str, Any]] = [
            {"$match": {"forward.claim.at": {"$exists": True}}},
            {"$group": {"_id": "$forward.destination", "letters": {"$sum": 1}}},
        ]
        return {row["_id"]: row["letters"] async for row in self._letters.aggregate(stages)}

    @reaching
    async def parked(self) -> int:
        """How many letters are parked and not in the bin."""
        return await self._letters.count_documents({"forward.state": "parked", "binned": {"$exists": False}})

    @reaching
    async def refile(self, address: str, destination: str, now: datetime) -> int:
        """What waits of a user's letters waits for `destination` from now on (design rule 12); returns how many."""
        query = {
            "address": address,
            "forward.state": {"$in": [*WAITING, "parked"]},
            "forward.destination": {"$ne": destination},
        }
        result = await self._letters.update_many(
            query,
            [
                {
                    "$set": {
                        "forward.destination": destination,
                        "forward.due": {"$cond": [{"$in": ["$forward.state", list(WAITING)]}, now, "$$REMOVE"]},
                    }
                }
            ],
        )
        return int(result.modified_count)

    @reaching
    async def note(self, name: str, now: datetime, *, code: int, text: str, ok: bool) -> None:
        """Write down what a destination was last heard to say."""
        fields = {"last_reply": {"code": code, "text": text, "at": now}, "answers": ok}
        await self._destinations.update_one({"_id": name}, {"$set": fields}, upsert=True)

    @reaching
    async def noted(self) -> dict[str, dict[str, Any]]:
        """What was last heard of each destination: {last_reply, answers}."""
        return {document["_id"]: document async for document in self._destinations.find({})}
