"""What waits for which destination."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.letter import MOVES, WAITING, State
from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import Letter
from shared.mailbox.marks import marking
from shared.mailbox.notices import owed
from shared.mailbox.places import stirring


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one destination. `oldest_at` is when the oldest of it was received."""

    destination: str
    letters: int
    oldest_at: datetime


# What a look for due letters reads of each.
_PLANNED_FIELDS = {"forward.destination": 1, "partition": 1, "size": 1}


class Destinations:
    """Letters by the destination that they wait for."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def due(
        self, names: Iterable[str], partitions: Iterable[int], now: datetime, limit: int, *, pending_until: datetime
    ) -> list[Letter]:
        """Letters of `partitions` that wait for one of `names` and are due, in order of the names: id, destination,
        partition and size. Where `limit` cuts, the last name's letters may not be all. Of those never tried also
        those due until `pending_until`: such a moment is only their event's grace."""
        query = {"forward.destination": {"$in": sorted(names)}, **_due(partitions, now, pending_until)}
        cursor = self._letters.find(query, _PLANNED_FIELDS).sort("forward.destination", 1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def oldest_due(
        self, name: str, partitions: Iterable[int], now: datetime, limit: int, *, pending_until: datetime
    ) -> list[Letter]:
        """As `due`, of one destination: the longest due first."""
        query = {"forward.destination": name, **_due(partitions, now, pending_until)}
        cursor = self._letters.find(query, _PLANNED_FIELDS).sort("forward.due", 1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def one_to_test(self, name: str, refused: Sequence[str], now: datetime) -> Letter | None:
        """A letter that waits for `name`, to an address not among `refused` if there is one; it is due by this."""
        waits = {"forward.destination": name, "forward.due": {"$exists": True}}
        for query in ({**waits, "address": {"$nin": list(refused)}}, waits):
            found = await self._letters.find_one_and_update(
                query, {"$min": {"forward.due": now}}, _PLANNED_FIELDS, sort=[("forward.due", 1)]
            )
            if found is not None:
                return found
        return None

    @reaching
    async def names_waiting(self) -> list[str]:
        """Every destination that some letter waits for: one step of the index for each, however many wait."""
        names: list[str] = []
        while True:
            last = names[-1] if names else ""
            query = {"forward.destination": {"$gt": last}, "forward.due": {"$exists": True}}
            found = await self._letters.find_one(query, {"forward.destination": 1}, sort=[("forward.destination", 1)])
            if found is None:
                return names
            names.append(found["forward"]["destination"])

    @reaching
    async def anything_waits(self, name: str) -> bool:
        waits = {"forward.destination": name, "forward.due": {"$exists": True}}
        return await self._letters.find_one(waits, {"_id": 1}) is not None

    @reaching
    async def release(self, name: str, now: datetime) -> int:
        """All that waits for `name` is due now, the oldest first; returns how many had to be moved."""
        query = {"forward.destination": name, "forward.due": {"$gt": now}}
        result = await self._letters.update_many(query, [{"$set": {"forward.due": "$received_at"}}])
        return int(result.modified_count)

    @reaching
    async def hurry(self, which: dict[str, Any], now: datetime) -> int:
        """Those of `which` that wait are due now; returns how many wait."""
        query = {**which, "forward.state": {"$in": list(WAITING)}, "forward.due": {"$exists": True}}
        result = await self._letters.update_many(query, [{"$set": {"forward.due": {"$min": ["$forward.due", now]}}}])
        return int(result.matched_count)

    @reaching
    async def expire(self, name: str, armed_before: datetime, now: datetime, reply: dict[str, Any]) -> list[str]:
        """Park what was armed before that moment and waits for `name`, untried or not; returns the ids, at most 500.

        For destinations that nothing is sent to: elsewhere a try that fails looks at the lifetime itself.
        """
        waits = {"forward.destination": name, "forward.due": {"$exists": True}}
        query = {**waits, "forward.armed_at": {"$lte": armed_before}}
        ids = [document["_id"] async for document in self._letters.find(query, {"_id": 1}).limit(500)]
        if not ids:
            return []
        fields = {
            "forward.state": MOVES["expire"].end,
            "forward.due": "$$REMOVE",
            "forward.last": {"code": reply["code"], "text": {"$literal": reply["text"]}, "at": now},
            **marking("forwarded", "$forward.arming", now, {**reply, "text": {"$literal": reply["text"]}}),
            **owed(True, now),
            **stirring(now),
        }
        starts = {"forward.state": {"$in": list(MOVES["expire"].start)}}
        await self._letters.update_many({"_id": {"$in": ids}, **query, **starts}, [{"$set": fields}])
        return ids

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


def _due(partitions: Iterable[int], now: datetime, pending_until: datetime) -> dict[str, Any]:
    query: dict[str, Any] = {"partition": {"$in": sorted(partitions)}, "forward.due": {"$lte": pending_until}}
    if pending_until > now:
        query["$or"] = [{"forward.due": {"$lte": now}}, {"forward.state": State.PENDING}]
    return query
