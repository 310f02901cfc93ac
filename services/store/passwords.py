"""Passwords: hashed and compared by argon2id, off the event loop, a few at a time."""

import asyncio
import hashlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's least for argon2id: a door that anybody may knock at must not cost 64 MiB a knock.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
THREADS = 2
# At some 20 ms each this is about two seconds' work; who comes later is told to come again.
MOST_WAITING = 200
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 10_000


class TooBusy(Exception):
    """More passwords wait to be compared than can be soon."""


class Passwords:
    """Hashes and compares. A comparison that held is remembered for a minute, so that not each call costs one."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._held: dict[tuple[str, bytes, str], float] = {}
        # Compared with where there is no such user, so that the answer takes as long.
        self._nobodys = _HASHER.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _HASHER.hash, password)

    async def match(self, name: str, password: str, stored: str | None) -> bool:
        """Whether `password` is what `stored` was made of; never, where nothing is stored. Raises TooBusy."""
        key = (name, hashlib.sha256(password.encode("utf-8", "replace")).digest(), stored or "")
        now = time.monotonic()
        if self._held.get(key, 0.0) > now:
            return True
        if not await self._compare(password, stored or self._nobodys) or stored is None:
            return False
        if len(self._held) >= MOST_REMEMBERED:
            self._held.clear()
        self._held[key] = now + REMEMBERED_SECONDS
        return True

    async def _compare(self, password: str, stored: str) -> bool:
        if self._waiting >= MOST_WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(_holds, stored, password))
        finally:
            self._waiting -= 1


def _holds(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError, UnicodeError):
        return False
