"""Tries to log in, counted for all replicas together, so that passwords cannot be guessed by trying.

Three kinds of count, each with its own limit of tries a minute and, past it, a wait that doubles:

- `address:` wrong passwords from one client address, for whatever account. Loopback is exempt.
- `account:` tries for one account, from everywhere but the networks it is known in.
- `known:` tries for one account from a network in which its right password was said in the last 30
  days. Such a network is under this count alone, so that a stranger who guesses cannot lock people out of where they
  are; who comes from a new place while somebody guesses has to wait with him.

A try is counted before its password is looked at, or many at once would pass; a right one takes the count back. That
of addresses counts the wrong ones only, when they are known to be: an office of a hundred logs in at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.mailbox.connect import Database, reaching

WINDOW = timedelta(minutes=1)
# After the tries of a minute: this long until the next one, after that twice as long, until it is five minutes.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=5)
# Who was made to wait is trusted again after so much quiet. Less would be a way to guess faster than by waiting.
FORGIVEN = timedelta(hours=1)
KNOWN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Try:
    """One try: whether it may be made, and what is to be told how it ended.

    `number` is its number in the present row of tries; `wait_seconds` is 0 where it may be made.
    """

    account: str
    network: str
    is_exempt: bool
    is_known: bool
    number: int
    wait_seconds: float

    @property
    def key(self) -> str:
        """The document that counts it."""
        return _pair(self.account, self.network) if self.is_known else _account(self.account)


class Tries:
    """The collection `tries`: `{_id, tries, until, forgiven_at, known_until, expires_at}`; made away with by a TTL."""

    def __init__(self, database: Database, per_minute: int) -> None:
        self._tries = database["tries"]
        self._per_minute = per_minute

    @reaching
    async def ask(self, account: str, network: str, now: datetime, *, is_exempt: bool) -> Try:
        """Whether a password may be tried for `account` from `network`; if so, the try is counted.

        `is_exempt`: not by the address. Whether there is such an account makes no difference.
        """
        keys = [_address(network), _pair(account, network)]
        found = {document["_id"]: document async for document in self._tries.find({"_id": {"$in": keys}})}
        is_known = found.get(_pair(account, network), {}).get("known_until", now) > now
        by_address = _wait(found.get(_address(network)), now)
        if by_address and not (is_exempt or is_known):
            return Try(account, network, is_exempt, is_known, 0, by_address)
        key = _pair(account, network) if is_known else _account(account)
        number, wait = await self._count(key, now)
        return Try(account, network, is_exempt, is_known, number, wait)

    @reaching
    async def right(self, made: Try, now: datetime) -> None:
        """The password was right: its count begins anew, and the network is one where the account is known."""
        if not made.is_known:
            await self._tries.delete_one({"_id": made.key})
        fields = {"known_until": now + KNOWN, "expires_at": now + KNOWN}
        await self._tries.update_one(
            {"_id": _pair(made.account, made.network)},
            {"$set": fields, "$unset": {"tries": "", "until": "", "forgiven_at": ""}},
            upsert=True,
        )

    @reaching
    async def wrong(self, made: Try, now: datetime) -> None:
        """The password was wrong, and is counted for the address besides."""
        if not made.is_exempt:
            await self._count(_address(made.network), now)

    @reaching
    async def undone(self, made: Try, now: datetime) -> None:
        """The password was not looked at."""
        await self._tries.update_one(
            {"_id": made.key, "tries": {"$gt": 0}}, {"$inc": {"tries": -1}, "$set": {"until": now}}
        )

    async def _count(self, key: str, now: datetime) -> tuple[int, float]:
        """Count a try, unless there is to be none now. Returns its number, and how long to wait instead."""
        before: dict[str, Any] | None = await self._tries.find_one_and_update(
            {"_id": key}, _counting(now, self._per_minute), upsert=True
        )
        if wait := _wait(before, now):
            return 0, wait
        if before is None or before.get("forgiven_at", now) <= now:
            return 1, 0.0
        return before["tries"] + 1, 0.0


def _account(account: str) -> str:
    return f"account:{account}"


def _pair(account: str, network: str) -> str:
    # A name may be anything that somebody typed; a network is ours, and without spaces.
    return f"known:{network} {account}"


def _address(network: str) -> str:
    return f"address:{network}"


def _wait(document: dict[str, Any] | None, now: datetime) -> float:
    until = document.get("until", now) if document else now
    return max(0.0, float((until - now).total_seconds()))


def _counting(now: datetime, per_minute: int) -> list[dict[str, Any]]:
    """One more try in the present row, or the first of a new one; what has to wait is left as it is."""
    waits = {"$gt": ["$until", now]}
    is_new = {"$lte": [{"$ifNull": ["$forgiven_at", now]}, now]}
    is_over = {"$gte": ["$tries", per_minute]}
    return [
        {"$set": {"tries": _unless(waits, "$tries", _unless(is_new, 1, {"$add": ["$tries", 1]}))}},
        {"$set": {"forgiven_at": _unless(waits, "$forgiven_at", _unless(is_new, now + WINDOW, "$forgiven_at"))}},
        {"$set": {"until": _unless(waits, "$until", _unless(is_over, {"$add": [now, _wait_ms(per_minute)]}, now))}},
        {"$set": {"forgiven_at": _unless(is_over, {"$add": ["$until", _ms(FORGIVEN)]}, "$forgiven_at")}},
        {"$set": {"expires_at": {"$max": ["$forgiven_at", "$known_until"]}}},
    ]


def _wait_ms(per_minute: int) -> dict[str, Any]:
    doublings = {"$min": [10, {"$subtract": ["$tries", per_minute]}]}
    return {"$min": [_ms(LONGEST_WAIT), {"$multiply": [_ms(FIRST_WAIT), {"$pow": [2, doublings]}]}]}


def _unless(condition: Any, kept: Any, otherwise: Any) -> dict[str, Any]:
    return {"$cond": [condition, kept, otherwise]}


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
