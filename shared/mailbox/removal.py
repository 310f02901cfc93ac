"""How a letter leaves its mailbox: a person's delete, the removal of a forwarded copy, and the purge of the bin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne, UpdateOne

from shared.letter import MOVES, UNFINISHED, State
from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import Letter
from shared.mailbox.marks import marking
from shared.mailbox.places import leaving

_NOT_BINNED = {"$eq": [{"$type": "$binned"}, "missing"]}


class Removal:
    """Letters into the bin, and out of it for good."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def delete(
        self, letter_id: str, *, reason: str, now: datetime, expires_at: datetime, rule_id: str | None = None
    ) -> Letter | None:
        """Move a letter to the bin and cancel its forward, by one compare-and-set; returns it as it was before.

        In flight, it cannot be cancelled: a wish is left, and whatever ends the claim but a 250 cancels. None: there
        is no such letter, or it is in the bin already.
        """
        query = {"_id": letter_id, "gone": {"$exists": False}, "binned": {"$exists": False}}
        return await self._letters.find_one_and_update(query, [{"$set": _deleted(reason, now, expires_at, rule_id)}])

    @reaching
    async def remove_copies(self, ids: Sequence[str], now: datetime, expires_at: datetime) -> list[Letter]:
        """Take the local copies of forwarded letters away; returns those that are in the bin for it, now or before.

        Only where `copy_due` is set, and it is consumed: a `forwarded` told twice cannot take a restored letter
        (design rule 10). One that a person has deleted meanwhile stays as he left it.
        """
        due = {"_id": {"$in": list(ids)}, "copy_due": {"$exists": True}}
        binned = {"reason": "forwarded", "at": now, "expires_at": expires_at, "forward_was": str(State.FORWARDED)}
        unseen = {"binned": {"$exists": False}, "uid": {"$exists": False}, "left": {"$exists": False}}
        change = {
            "$set": {"binned": binned},
            "$inc": {"removals": 1},
            "$unset": {"copy_due": "", "unnumbered": "", "news": ""},
        }
        # Most have no number and never had one: a plain update costs the database half of one that looks at each.
        if (await self._letters.update_many({**due, **unseen}, change)).modified_count < len(ids):
            await self._remove_looked_at(due, binned)
        kept = {"receipt_id": 1, "address": 1, "folder": 1, "partition": 1, "binned": 1, "removals": 1}
        cursor = self._letters.find({"_id": {"$in": list(ids)}, "binned.reason": "forwarded"}, kept)
        return [document async for document in cursor]

    async def _remove_looked_at(self, due: dict[str, Any], binned: dict[str, Any]) -> None:
        fields = {
            "binned": {"$cond": [_NOT_BINNED, binned, "$binned"]},
            "removals": {"$add": ["$removals", {"$cond": [_NOT_BINNED, 1, 0]}]},
            "copy_due": "$$REMOVE",
            **leaving(when=_NOT_BINNED),
        }
        await self._letters.update_many(due, [{"$set": fields}])

    @reaching
    async def copies_due(self, before: datetime, limit: int) -> list[Letter]:
        """Forwarded letters whose copies should have been taken away since `before`: their event got lost."""
        cursor = self._letters.find({"copy_due": {"$lte": before}}).sort("copy_due", 1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def expired(self, now: datetime, limit: int) -> list[Letter]:
        """Letters in the bin whose time is over, and whose forward is."""
        query = {
            "binned.expires_at": {"$lte": now},
            "forward.state": {"$nin": list(UNFINISHED)},
            "unannounced_since": {"$exists": False},
        }
        cursor = self._letters.find(query, _PURGED_FIELDS).sort("binned.expires_at", 1).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def purge(self, letters: Sequence[Letter], now: datetime) -> dict[str, list[str]]:
        """Put a gravestone in the place of each letter that is still in the bin; returns, for each receipt, the ids
        that are gone now and have to be released from its body.

        Never one whose forward is unfinished (rule 4), never one whose deletion is not told yet. The gravestone keeps
        its record from bringing it back (rule 3), and remembers the body until that is released (rule 2).
        """
        if not letters:
            return {}
        writes = [ReplaceOne(_purgeable(letter["_id"]), _gravestone(letter, now)) for letter in letters]
        await self._letters.bulk_write(writes, ordered=False)
        return await self._holding([letter["_id"] for letter in letters])

    @reaching
    async def holding(self, limit: int) -> dict[str, list[str]]:
        """Gravestones whose bodies a crash left unreleased: receipt id -> letter ids."""
        return await self._holding(None, limit)

    async def _holding(self, ids: Sequence[str] | None, limit: int = 0) -> dict[str, list[str]]:
        query: dict[str, Any] = {"gone.holds_body": True}
        if ids is not None:
            query["_id"] = {"$in": list(ids)}
        found: dict[str, list[str]] = {}
        async for document in self._letters.find(query, {"gone.receipt_id": 1}).limit(limit):
            found.setdefault(document["gone"]["receipt_id"], []).append(document["_id"])
        return found

    @reaching
    async def released(self, ids: Sequence[str]) -> None:
        """The bodies of these gravestones are released."""
        await self._letters.update_many({"_id": {"$in": list(ids)}}, {"$unset": {"gone.holds_body": ""}})

    @reaching
    async def bury_unseen(self, letters: dict[str, tuple[str, int]], now: datetime) -> None:
        """Gravestones for letters that this database does not know and that are known to have left: letter id ->
        (receipt id, partition). For a database that was put back (rule 13)."""
        writes = [
            UpdateOne(
                {"_id": letter_id},
                {"$setOnInsert": {"gone": {"at": now, "receipt_id": receipt, "partition": partition, "offset": -1}}},
                upsert=True,
            )
            for letter_id, (receipt, partition) in letters.items()
        ]
        if writes:
            await self._letters.bulk_write(writes, ordered=False)

    @reaching
    async def forget_gravestones(self, partition: int, below: int) -> int:
        """Take away the gravestones whose records `received` no longer has; returns how many."""
        query = {
            "gone.partition": partition,
            "gone.offset": {"$gte": 0, "$lt": below},
            "gone.holds_body": {"$exists": False},
            "left.folder": {"$exists": False},
        }
        return int((await self._letters.delete_many({**query, "gone": {"$exists": True}})).deleted_count)


_PURGED_FIELDS = {"receipt_id": 1, "partition": 1, "offset": 1, "left": 1}


def _purgeable(letter_id: str) -> dict[str, Any]:
    return {
        "_id": letter_id,
        "binned": {"$exists": True},
        "forward.state": {"$nin": list(UNFINISHED)},
        "unannounced_since": {"$exists": False},
    }


def _gravestone(letter: Letter, now: datetime) -> dict[str, Any]:
    origin = {name: letter[name] for name in ("receipt_id", "partition", "offset")}
    # Of what it left behind in folders, no tombstone may have been made yet.
    places = letter.get("left")
    left = {"left": places, "news": sorted({place["folder"] for place in places})} if places else {}
    return {"gone": {"at": now, "holds_body": True, **origin}, **left}


def _deleted(reason: str, now: datetime, expires_at: datetime, rule_id: str | None) -> dict[str, Any]:
    """Fields for a `$set` stage; each is computed from the letter as it was before."""
    number = {"$add": ["$removals", 1]}
    told = {"mailbox": "$folder", "reason": reason, "forward_was": "$forward.state", "rule_id": rule_id}
    return {
        "binned": {"reason": reason, "at": now, "expires_at": expires_at, "forward_was": "$forward.state"},
        "removals": number,
        "copy_due": "$$REMOVE",
        **_cancelling(),
        **leaving(),
        **marking("deleted", number, now, told),
    }


def _cancelling() -> dict[str, Any]:
    """The forward is cancelled; in flight it cannot be, and is wished to be."""
    cancels = {"$in": ["$forward.state", list(MOVES["delete"].start)]}
    return {
        "forward.state": {"$cond": [cancels, MOVES["delete"].end, "$forward.state"]},
        "forward.due": {"$cond": [cancels, "$$REMOVE", "$forward.due"]},
        "forward.wish": {"$cond": [{"$eq": ["$forward.state", State.IN_FLIGHT]}, True, "$$REMOVE"]},
        "notice_due": "$$REMOVE",
    }


def answer_to_delete(before: Letter) -> str:
    """What became of the forward by a delete, told from the letter as it was before: cancelled, in_flight, forwarded
    or none. A result still unknown counts as in flight: the main server may have the letter (design rule 8)."""
    forward = before["forward"]
    state = State(forward["state"])
    if state is State.IN_FLIGHT or (state in MOVES["delete"].start and forward["unknown"]):
        return "in_flight"
    if state in MOVES["delete"].start:
        return "cancelled"
    return str(state)


def answer_to_binned(letter: Letter) -> str:
    """The same for a letter that is in the bin already, told from how it got there."""
    was = {"forward": {**letter["forward"], "state": letter["binned"]["forward_was"]}}
    return answer_to_delete(was)
