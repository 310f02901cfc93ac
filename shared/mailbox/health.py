"""The health of destinations: a document each, changed by compare-and-set, so that restarts and other forwarders know.

{_id: host:port, health, since, suspended_by, window, refused, next_probe_at, taken_at, taken_by, probe_asked_at,
 version, changed_at, last_reply: {code, text, at}, probed_at, history: [{at, state, why, by}]}
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from shared.destination import Change, Destination, Health
from shared.mailbox.connect import Database, reaching

# Steps of a destination's history that are kept.
HISTORY = 200


@dataclass(frozen=True, slots=True)
class Heard:
    """What a destination said; to a probe or to a letter. `next_at` is when it is asked next, if it is."""

    code: int
    text: str
    at: datetime
    next_at: datetime | None = None
    was_probe: bool = False


class HealthOfDestinations:
    """The collection `destinations`."""

    def __init__(self, database: Database) -> None:
        self._destinations = database["destinations"]

    @reaching
    async def get(self, name: str) -> Destination:
        """Up, where nothing is known of it."""
        document = await self._destinations.find_one({"_id": name}, _FIELDS)
        return _destination(document) if document else Destination(name)

    @reaching
    async def changed_since(self, moment: datetime | None) -> tuple[list[Destination], datetime | None]:
        """Those whose state changed at or after `moment` (None: all that are known), and the latest change seen."""
        query = {} if moment is None else {"changed_at": {"$gte": moment}}
        found = [document async for document in self._destinations.find(query, {**_FIELDS, "changed_at": 1})]
        moments = [document["changed_at"] for document in found if "changed_at" in document]
        return [_destination(document) for document in found], max(moments, default=moment)

    @reaching
    async def replace(self, before: Destination, after: Destination, now: datetime, change: Change | None) -> bool:
        """Compare-and-set on the version, with a step of history where the state changed; False: it is another now."""
        update: dict[str, Any] = {"$set": {**_fields(after), "version": before.version + 1, "changed_at": now}}
        if change is not None:
            step = {"at": change.at, "state": str(change.health), "why": change.why, "by": change.by}
            update["$push"] = {"history": {"$each": [step], "$slice": -HISTORY}}
        known = {"_id": before.name, "version": before.version} if before.version else _unknown(before.name)
        try:
            result = await self._destinations.update_one(known, update, upsert=not before.version)
        except DuplicateKeyError:
            return False
        return bool(result.matched_count or result.upserted_id)

    @reaching
    async def note_heard(self, heard: dict[str, Heard]) -> None:
        """What was heard of each; no change of state."""
        writes = [
            UpdateOne(
                {"_id": name},
                {
                    "$set": {
                        "last_reply": {"code": one.code, "text": one.text, "at": one.at},
                        **({"probed_at": one.at} if one.was_probe else {}),
                        **({"next_probe_at": one.next_at} if one.next_at is not None else {}),
                    }
                },
                upsert=True,
            )
            for name, one in heard.items()
        ]
        if writes:
            await self._destinations.bulk_write(writes, ordered=False)

    @reaching
    async def note_taken(self, names: dict[str, datetime], by: str) -> None:
        """Forwarder `by` has seen these take a letter."""
        writes = [
            UpdateOne({"_id": name}, {"$max": {"taken_at": at}, "$set": {"taken_by": by}}, upsert=True)
            for name, at in names.items()
        ]
        if writes:
            await self._destinations.bulk_write(writes, ordered=False)

    @reaching
    async def note_refused(self, name: str, addresses: Sequence[str]) -> None:
        """A test was refused, to one more address."""
        await self._destinations.update_one({"_id": name}, {"$addToSet": {"refused": {"$each": list(addresses)}}})

    @reaching
    async def taken(self, name: str) -> tuple[datetime | None, str | None]:
        """When it last took a letter as far as is noted, and from which forwarder."""
        document = await self._destinations.find_one({"_id": name}, {"taken_at": 1, "taken_by": 1}) or {}
        return document.get("taken_at"), document.get("taken_by")

    @reaching
    async def ask_for_probe(self, name: str, now: datetime) -> None:
        """Its keeper is to ask it at once."""
        await self._destinations.update_one(
            {"_id": name}, {"$set": {"probe_asked_at": now, "changed_at": now}}, upsert=True
        )

    @reaching
    async def shown(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The documents as they are, for people to read."""
        query = {} if names is None else {"_id": {"$in": list(names)}}
        return {document["_id"]: document async for document in self._destinations.find(query)}


_FIELDS = dict.fromkeys(
    (
        *("health", "since", "suspended_by", "window", "refused", "next_probe_at"),
        *("taken_at", "taken_by", "probe_asked_at", "version"),
    ),
    1,
)


def _unknown(name: str) -> dict[str, Any]:
    """A document that only holds notes has no version yet."""
    return {"_id": name, "version": {"$exists": False}}


def _destination(document: dict[str, Any]) -> Destination:
    return Destination(
        name=document["_id"],
        health=Health(document.get("health", Health.UP)),
        since=document.get("since"),
        suspended_by=document.get("suspended_by"),
        window=document.get("window"),
        refused=tuple(document.get("refused", ())),
        next_probe_at=document.get("next_probe_at"),
        taken_at=document.get("taken_at"),
        taken_by=document.get("taken_by"),
        probe_asked_at=document.get("probe_asked_at"),
        version=document.get("version", 0),
    )


def _fields(destination: Destination) -> dict[str, Any]:
    return {
        "health": str(destination.health),
        "since": destination.since,
        "suspended_by": destination.suspended_by,
        "window": destination.window,
        "refused": list(destination.refused),
        "next_probe_at": destination.next_probe_at,
    }
