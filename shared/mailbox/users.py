"""Who has a mailbox here, and where his mail goes."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from shared.letter import Mode
from shared.mailbox.connect import Database, MailboxUnavailable, reaching

# Where letters go whose user is gone: seen by administrators (design rule 14).
POSTMASTER = "postmaster"
NOT_PASSED = "none"


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a user's letters go to. `password` is sealed."""

    name: str
    host: str
    port: int
    username: str | None = None
    password: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as the collection has him. `address` is lower-case; `target` is None for store_only."""

    address: str
    mode: Mode
    created_at: datetime
    password_hash: str | None = None
    target_address: str | None = None
    target: Target | None = None
    tls: str = "opportunistic"
    # Whether the target is told who handed a letter in here: none, xclient or xforward.
    pass_client: str = NOT_PASSED
    pop3_delete: str = "delete"
    enabled: bool = True
    # Deleted while letters wait: no login, no new mail, gone when the last is forwarded.
    leaving: bool = False
    # Since when the target is another: what waits is filed again, once more a little later (design rule 12).
    retargeted_at: datetime | None = None


class UserExists(Exception):
    """There is one of that address."""


class Users:
    """The collection `users`; `_id` is the address."""

    def __init__(self, database: Database) -> None:
        self._users = database["users"]

    @reaching
    async def accepting(self, addresses: Iterable[str]) -> set[str]:
        """Those of `addresses` that take new mail now."""
        cursor = self._users.find({"_id": {"$in": list(addresses)}, **_ACCEPTING}, {"_id": 1})
        return {document["_id"] async for document in cursor}

    @reaching
    async def all_accepting(self) -> list[str]:
        """Every address that takes new mail now."""
        return [document["_id"] async for document in self._users.find(_ACCEPTING, {"_id": 1})]

    async def changes(self) -> AsyncIterator[tuple[str, bool]]:
        """Each change from now on: an address, and whether it takes new mail after it.

        The first item is ("", False), given once the stream stands: what is loaded after it misses nothing.

        Raises:
            MailboxUnavailable: the stream broke; open it again, and load again.
        """
        # A change stream shows only what a majority has, and refuses to be asked for less.
        users = self._users.with_options(read_concern=ReadConcern("majority"))
        try:
            async with users.watch(full_document="updateLookup", max_await_time_ms=1000) as stream:
                await stream.try_next()
                yield "", False
                async for change in stream:
                    document = change.get("fullDocument") or {}
                    yield change["documentKey"]["_id"], _accepts(document)
        except PyMongoError as error:
            raise MailboxUnavailable(str(error)[:200]) from error
        raise MailboxUnavailable("the users collection was dropped")

    @reaching
    async def get(self, address: str) -> User | None:
        document = await self._users.find_one({"_id": address})
        return _user(document) if document else None

    @reaching
    async def by_address(self, addresses: Iterable[str]) -> dict[str, User]:
        """Those of `addresses` that exist, by address."""
        return {d["_id"]: _user(d) async for d in self._users.find({"_id": {"$in": list(set(addresses))}})}

    @reaching
    async def page(self, after: str, limit: int) -> list[User]:
        """Up to `limit` users whose address sorts behind `after`."""
        cursor = self._users.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)
        return [_user(document) async for document in cursor]

    @reaching
    async def add(self, user: User) -> None:
        """Raises UserExists."""
        try:
            await self._users.insert_one(_document(user))
        except DuplicateKeyError:
            raise UserExists(user.address) from None

    @reaching
    async def replace(self, before: User, after: User) -> bool:
        """Compare-and-set of the whole user; False: he has changed or is gone."""
        query: dict[str, Any] = _document(before)
        if before.pass_client == NOT_PASSED:
            # Users of earlier versions have no such field.
            query["pass_client"] = {"$in": [NOT_PASSED, None]}
        result = await self._users.replace_one(query, _document(after))
        return bool(result.matched_count)

    @reaching
    async def remove(self, address: str) -> bool:
        """False: there was none."""
        return bool((await self._users.delete_one({"_id": address})).deleted_count)

    @reaching
    async def destinations(self) -> list[str]:
        """The name of every target server that some user has."""
        return sorted(await self._users.distinct("target.name", {"target.name": {"$exists": True}}))

    @reaching
    async def retargeted(self, before: datetime) -> list[User]:
        """Users whose target changed before that moment, and whose letters have not been filed again since."""
        return [_user(document) async for document in self._users.find({"retargeted_at": {"$lte": before}})]

    @reaching
    async def filed_again(self, user: User) -> None:
        """All that waits for `user` waits for his target; unless that has changed once more."""
        marked = {"_id": user.address, "retargeted_at": user.retargeted_at}
        await self._users.update_one(marked, {"$unset": {"retargeted_at": ""}})


_ACCEPTING: dict[str, Any] = {"enabled": True, "leaving": {"$ne": True}}


def _accepts(document: dict[str, Any]) -> bool:
    return bool(document.get("enabled")) and not document.get("leaving")


def _document(user: User) -> dict[str, Any]:
    target = user.target
    document: dict[str, Any] = {
        "_id": user.address,
        "mode": str(user.mode),
        "created_at": user.created_at,
        "password_hash": user.password_hash,
        "target_address": user.target_address,
        "tls": user.tls,
        "pass_client": user.pass_client,
        "pop3_delete": user.pop3_delete,
        "enabled": user.enabled,
        "leaving": user.leaving,
    }
    if user.retargeted_at is not None:
        document["retargeted_at"] = user.retargeted_at
    if target is not None:
        document["target"] = {
            "name": target.name,
            "host": target.host,
            "port": target.port,
            "username": target.username,
            "password": target.password,
        }
    return document


def _user(document: dict[str, Any]) -> User:
    target = document.get("target")
    return User(
        address=document["_id"],
        mode=Mode(document["mode"]),
        created_at=document["created_at"],
        password_hash=document["password_hash"],
        target_address=document["target_address"],
        target=Target(**target) if target else None,
        tls=document["tls"],
        pass_client=document.get("pass_client", NOT_PASSED),
        pop3_delete=document["pop3_delete"],
        enabled=document["enabled"],
        leaving=document["leaving"],
        retargeted_at=document.get("retargeted_at"),
    )
