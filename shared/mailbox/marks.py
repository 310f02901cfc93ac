"""Moves that began elsewhere than in an event are marked unannounced in the same write; here the marks are found and
cleared once their events are published (design, "Where truth lives")."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import Letter


def marking(kind: str, number: Any, now: datetime, fields: dict[str, Any], *, when: Any = True) -> dict[str, Any]:
    """Fields for an update's `$set` stage that add a mark, where the expression `when` holds."""
    mark = {"kind": kind, "number": number, "at": now, "fields": fields}
    present = {"$ifNull": ["$unannounced", []]}
    marked = {"$concatArrays": [present, [mark]]}
    since = {"$ifNull": ["$unannounced_since", now]}
    return {
        "unannounced": {"$cond": [when, marked, "$unannounced"]},
        "unannounced_since": {"$cond": [when, since, "$unannounced_since"]},
    }


def marked(kind: str, number: int, now: datetime, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a new letter that is put in with a mark."""
    return {"unannounced": [{"kind": kind, "number": number, "at": now, "fields": fields}], "unannounced_since": now}


class Marks:
    """The marks on letters."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def older_than(self, moment: datetime, limit: int) -> list[Letter]:
        """Letters marked since before `moment`, oldest mark first."""
        cursor = self._letters.find({"unannounced_since": {"$lte": moment}}).sort("unannounced_since", 1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def clear(self, letters: Sequence[Letter]) -> None:
        """The marks that `letters` carry, as they were read, are told; later ones stay."""
        writes = [UpdateOne({"_id": letter["_id"]}, _without(letter["unannounced"])) for letter in letters]
        if writes:
            await self._letters.bulk_write(writes, ordered=False)


def _without(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [[mark["kind"], mark["number"]] for mark in told]
    name = ["$$mark.kind", "$$mark.number"]
    kept = {
        "$filter": {"input": {"$ifNull": ["$unannounced", []]}, "as": "mark", "cond": {"$not": {"$in": [name, names]}}}
    }
    return [
        {"$set": {"unannounced": kept}},
        {
            "$set": {
                "unannounced": {"$cond": [{"$eq": ["$unannounced", []]}, "$$REMOVE", "$unannounced"]},
                "unannounced_since": {"$cond": [{"$eq": ["$unannounced", []]}, "$$REMOVE", "$unannounced_since"]},
            }
        },
    ]
