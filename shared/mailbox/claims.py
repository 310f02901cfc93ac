"""The moves of a forward: claimed, delivered, deferred, parked, given back, taken over, armed again.

A claim is a token that one forwarder wrote into letters by one compare-and-set. What ends a claim matches the token and
the arming, but for a 250: that is true whoever holds the claim now, if the arming is still that one (design rule 7).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from shared.letter import MOVES, UNKNOWN_RESULTS_TO_PARK, State
from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import Letter
from shared.mailbox.marks import marking
from shared.mailbox.notices import owed
from shared.mailbox.places import stirring

# How many tries are written down in the letter.
HISTORY = 50

_CLAIMED_FIELDS = dict.fromkeys(
    (
        *("receipt_id", "address", "folder", "partition", "sender", "size", "mode", "received_at", "forward"),
        *("removals", "notice", "client"),
    ),
    1,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the main server said; code 0 and a reason in words where it said nothing."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Tried:
    """How one try of one letter ended. `end` is a move of the table: deliver, defer, park or give_back.

    `due` is when it may be tried again; `unknown` says that the main server may have the letter all the same;
    `refused` that it said no for good, whether or not that is believed yet.
    """

    letter_id: str
    arming: int
    token: str
    end: str
    reply: Reply
    began_at: datetime
    seconds: float
    due: datetime | None = None
    unknown: bool = False
    by: str = ""
    refused: bool = False


class Claims:
    """Claims on letters."""

    def __init__(self, database: Database) -> None:
        self._letters = database["letters"]

    @reaching
    async def claim(self, ids: Sequence[str], by: str, token: str, now: datetime) -> None:
        """Take those of `ids` that wait and are due, for forwarder `by`. An attempt is counted here, so that a letter
        that kills its forwarder shows (design rule 9). `of_token` tells which were won."""
        waits = {
            "$or": [{"forward.state": State.PENDING}, {"forward.state": State.DEFERRED, "forward.due": {"$lte": now}}]
        }
        await self._letters.update_many(
            {"_id": {"$in": list(ids)}, **waits},
            {
                "$set": {"forward.state": MOVES["claim"].end, "forward.claim": {"by": by, "token": token, "at": now}},
                "$inc": {"forward.attempts": 1},
                "$unset": {"forward.due": ""},
            },
        )

    @reaching
    async def of_token(self, ids: Sequence[str], token: str) -> list[Letter]:
        """The letters that the claim `token` won, in order of arrival."""
        cursor = self._letters.find({"_id": {"$in": list(ids)}, "forward.claim.token": token}, _CLAIMED_FIELDS)
        return sorted([document async for document in cursor], key=_by_id)

    @reaching
    async def record(self, tries: Sequence[Tried], now: datetime) -> list[Letter]:
        """Write down how tries ended; returns the delivered letters as they now are, those of earlier writing included.

        What a batch really changed is read back before anybody publishes it (rule 7).
        """
        if not tries:
            return []
        try:
            await self._letters.bulk_write(_writes(tries, now), ordered=False)
        except BulkWriteError as error:
            raise RuntimeError(f"outcomes refused: {error.details}") from error
        delivered = {tried.letter_id: tried.arming for tried in tries if tried.end == "deliver"}
        if not delivered:
            return []
        query = {"_id": {"$in": list(delivered)}, "forward.state": State.FORWARDED}
        found = [document async for document in self._letters.find(query, _CLAIMED_FIELDS)]
        return [letter for letter in found if letter["forward"]["arming"] == delivered[letter["_id"]]]

    @reaching
    async def told_delivered(self, letter_id: str, reply: dict[str, Any], now: datetime) -> None:
        """The topics say that the main server has this letter, and this database does not know (design rule 13)."""
        await self._letters.update_one(
            {"_id": letter_id, "forward.state": {"$in": list(MOVES["deliver"].start)}},
            {
                "$set": {
                    "forward.state": MOVES["deliver"].end,
                    "forward.forwarded_at": now,
                    "forward.last": {"code": reply["code"], "text": reply["text"], "at": now},
                    "copy_due": now,
                },
                "$unset": {"forward.claim": "", "forward.wish": "", "forward.due": "", "notice_due": ""},
            },
        )

    @reaching
    async def give_back(
        self, ids: Sequence[str], token: str, due: datetime | None = None, *, destination: str | None = None
    ) -> None:
        """Return letters untried: deferred until `due` or, where that is None, due at once and in their old place; the
        attempt is not counted. With `destination`: they wait for that one."""
        fields: dict[str, Any] = {
            "forward.attempts": {"$subtract": ["$forward.attempts", 1]},
            **_ended(_unwished(State.DEFERRED, pending_if_untried=due is None), due or "$received_at"),
        }
        if destination is not None:
            fields["forward.destination"] = destination
        await self._letters.update_many(_held(ids, token), [{"$set": fields}])

    @reaching
    async def take_over(self, by: str, now: datetime, due: datetime) -> int:
        """End the claims of a forwarder that is no more: results unknown (rules 6, 8); returns how many letters."""
        reply = Reply(0, "the forwarder that was sending it stopped; whether the main server has it is not known")
        query = {"forward.claim.by": by, "forward.claim.at": {"$exists": True}, "forward.state": State.IN_FLIGHT}
        attempt = {"at": "$forward.claim.at", "by": by, "code": 0, "text": reply.text, "seconds": None}
        result = await self._letters.update_many(query, [{"$set": _failed("defer", reply, now, due, True, attempt)}])
        return int(result.modified_count)

    @reaching
    async def holders(self, before: datetime) -> list[str]:
        """The forwarders that hold claims taken before `before`."""
        query = {"forward.claim.by": {"$exists": True}, "forward.claim.at": {"$lte": before}}
        return list(await self._letters.distinct("forward.claim.by", query))

    @reaching
    async def of_forwarder(self, by: str, before: datetime, limit: int) -> list[Letter]:
        """Letters that forwarder `by` claimed before `before` and has not ended."""
        query = {"forward.claim.by": by, "forward.claim.at": {"$lte": before}}
        cursor = self._letters.find(query, {"forward.claim": 1}).limit(limit)
        return [document async for document in cursor]

    @reaching
    async def make_due(self, letter_id: str, now: datetime) -> Letter | None:
        """Override a waiting letter's clock; its event is marked to be told. None: it does not wait."""
        fields = {"forward.due": now, **marking("stored", "$forward.arming", now, {"cause": "rearmed"})}
        waits = {"_id": letter_id, "forward.state": {"$in": list(MOVES["claim"].start)}}
        return await self._letters.find_one_and_update(waits, [{"$set": fields}], return_document=True)

    @reaching
    async def rearm(self, letter_id: str, destination: str, now: datetime) -> Letter | None:
        """Arm a parked letter again: a new arming, tries counted anew. None: it is not parked."""
        fields = {**_armed_again(now), "forward.destination": destination}
        query = {"_id": letter_id, "forward.state": State.PARKED, "binned": {"$exists": False}}
        return await self._letters.find_one_and_update(query, [{"$set": fields}], return_document=True)

    @reaching
    async def rearm_some(self, which: dict[str, Any], now: datetime) -> list[str]:
        """Arm up to 500 parked letters of `which` again, for the destination that each is filed under; returns the ids
        of which events are to be told. Empty: there are none left."""
        query = {**which, "forward.state": State.PARKED, "binned": {"$exists": False}}
        ids = [document["_id"] async for document in self._letters.find(query, {"_id": 1}).limit(500)]
        if ids:
            await self._letters.update_many({"_id": {"$in": ids}, **query}, [{"$set": _armed_again(now)}])
        return ids


def _armed_again(now: datetime) -> dict[str, Any]:
    """Fields for a `$set` stage: a new arming, tries counted anew."""
    arming = {"$add": ["$forward.arming", 1]}
    return {
        "forward.state": MOVES["rearm"].end,
        "forward.arming": arming,
        "forward.armed_at": now,
        "forward.due": now,
        "forward.attempts": 0,
        "forward.unknown": 0,
        "forward.refused_at": "$$REMOVE",
        "notice_due": "$$REMOVE",
        **stirring(now),
        **marking("stored", arming, now, {"cause": "rearmed"}),
    }


def _by_id(letter: Letter) -> str:
    return str(letter["_id"])


def _held(ids: Sequence[str], token: str) -> dict[str, Any]:
    return {"_id": {"$in": list(ids)}, "forward.claim.token": token, "forward.state": State.IN_FLIGHT}


def _writes(tries: Sequence[Tried], now: datetime) -> list[UpdateMany | UpdateOne]:
    """Deliveries together, as far as they are of the same arming: an update for each costs the database twice as much
    (measured). Whatever else happened is rare."""
    delivered: dict[int, list[Tried]] = {}
    writes: list[UpdateMany | UpdateOne] = []
    for tried in tries:
        if tried.end == "deliver":
            delivered.setdefault(tried.arming, []).append(tried)
        else:
            writes.append(_write(tried, now))
    return [*(_write_delivered(arming, some, now) for arming, some in delivered.items()), *writes]


def _attempt(tried: Tried) -> dict[str, Any]:
    return {
        "at": tried.began_at,
        "by": tried.by,
        "code": tried.reply.code,
        "text": tried.reply.text,
        "seconds": round(tried.seconds, 3),
    }


def _write(tried: Tried, now: datetime) -> UpdateOne:
    query = {**_held([tried.letter_id], tried.token), "forward.arming": tried.arming}
    query["_id"] = tried.letter_id
    fields = _failed(tried.end, tried.reply, now, tried.due, tried.unknown, _attempt(tried))
    if tried.refused:
        # From the first refusal on it is counted how long it has been believed or not.
        fields["forward.refused_at"] = {"$ifNull": ["$forward.refused_at", now]}
    return UpdateOne(query, [{"$set": fields}])


def _write_delivered(arming: int, tries: Sequence[Tried], now: datetime) -> UpdateMany:
    """Each letter finds its own try by its place in the list."""
    ids = [tried.letter_id for tried in tries]
    place = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    attempt = {"$arrayElemAt": [{"$literal": [_attempt(tried) for tried in tries]}, place]}
    last = {
        "$arrayElemAt": [{"$literal": [{"code": t.reply.code, "text": t.reply.text, "at": now} for t in tries]}, place]
    }
    query = {"_id": {"$in": ids}, "forward.arming": arming, "forward.state": {"$in": list(MOVES["deliver"].start)}}
    fields = {
        "forward.state": MOVES["deliver"].end,
        "forward.forwarded_at": now,
        "forward.last": last,
        "forward.unknown": 0,
        "forward.history": _remembered(attempt),
        "forward.claim": "$$REMOVE",
        "forward.wish": "$$REMOVE",
        "forward.due": "$$REMOVE",
        # Consumed when the pruner takes the copy away; until then it shows that one is due (rule 10).
        "copy_due": now,
        "notice_due": "$$REMOVE",
    }
    return UpdateMany(query, [{"$set": fields}])


def _remembered(attempt: dict[str, Any]) -> dict[str, Any]:
    history = {"$concatArrays": [{"$ifNull": ["$forward.history", []]}, [attempt]]}
    return {"$slice": [history, -HISTORY]}


def _failed(
    end: str, reply: Reply, now: datetime, due: datetime | None, unknown: bool, attempt: dict[str, Any]
) -> dict[str, Any]:
    """Fields for a `$set` stage: the claim ends by `end`, by `cancelled` where a delete left its wish, and by
    `parked` where the result is unknown once too often."""
    unknowns: Any = {"$add": [{"$ifNull": ["$forward.unknown", 0]}, 1]} if unknown else 0
    often = {"$gte": [unknowns, UNKNOWN_RESULTS_TO_PARK]}
    target: Any = {"$cond": [often, MOVES["park"].end, MOVES[end].end]}
    parks = {"$and": [{"$eq": [target, State.PARKED]}, {"$ne": ["$forward.wish", True]}]}
    return {
        **_ended(_unwished(target), due or now),
        "forward.unknown": unknowns,
        "forward.last": {"code": reply.code, "text": {"$literal": reply.text}, "at": now},
        "forward.history": _remembered(_literal(attempt)),
        **marking(
            "forwarded", "$forward.arming", now, {"code": reply.code, "text": {"$literal": reply.text}}, when=parks
        ),
        **owed(parks, now),
        **stirring(now),
    }


def _literal(attempt: dict[str, Any]) -> dict[str, Any]:
    """A reply's text is the main server's: one that begins with a dollar must not be taken for an expression."""
    return {**attempt, "text": {"$literal": attempt["text"]}}


def _unwished(end: Any, *, pending_if_untried: bool = False) -> dict[str, Any]:
    """`end`, or `cancelled` where a delete left its wish."""
    if pending_if_untried:
        end = {"$cond": [{"$lte": ["$forward.attempts", 1]}, State.PENDING, end]}
    return {"$cond": [{"$eq": ["$forward.wish", True]}, MOVES["defer"].wished, end]}


def _ended(state: dict[str, Any], due: datetime | str) -> dict[str, Any]:
    waits = {"$in": [state, list(MOVES["claim"].start)]}
    return {
        "forward.state": state,
        "forward.due": {"$cond": [waits, due, "$$REMOVE"]},
        "forward.claim": "$$REMOVE",
        "forward.wish": "$$REMOVE",
    }
