"""Who administers: names with passwords, and tokens, which are kept as hashes only."""

import hashlib
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from shared.mailbox.connect import Database, reaching


def token_hash(token: str) -> str:
    """A token is random and long, so a plain hash hides it well enough and costs nothing to compare."""
    return hashlib.sha256(token.encode()).hexdigest()


class Admins:
    """The collection `admins`: `{_id: name, password_hash}` and `{_id: "token:" + name, token_hash}`."""

    def __init__(self, database: Database) -> None:
        self._admins = database["admins"]

    @reaching
    async def add(self, name: str, password_hash: str, now: datetime) -> bool:
        """False: there is one of that name, and he stays as he is."""
        try:
            await self._admins.insert_one({"_id": name, "password_hash": password_hash, "created_at": now})
        except DuplicateKeyError:
            return False
        return True

    @reaching
    async def exists(self, name: str) -> bool:
        return await self._admins.find_one({"_id": name}, {"_id": 1}) is not None

    @reaching
    async def password_hash(self, name: str) -> str | None:
        """None: nobody of that name."""
        document = await self._admins.find_one({"_id": name, "password_hash": {"$exists": True}})
        return str(document["password_hash"]) if document else None

    @reaching
    async def set_token(self, name: str, token: str, now: datetime) -> None:
        """The token called `name` is this one; the one before is no longer valid."""
        document = {"token_hash": token_hash(token), "created_at": now}
        await self._admins.replace_one({"_id": f"token:{name}"}, document, upsert=True)

    @reaching
    async def knows_token(self, token: str) -> bool:
        return await self._admins.find_one({"token_hash": token_hash(token)}, {"_id": 1}) is not None
