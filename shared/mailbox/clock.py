"""The one clock that decides: the database's. Machines of a cluster disagree; documents must not."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

from shared.mailbox.connect import Database, MailboxUnavailable, reaching
from shared.settings import Common

READ_EACH_SECONDS = 10.0


class Clock:
    """The database's time, read now and then and carried on by this machine's monotonic clock in between."""

    def __init__(self, database: Database, settings: Common) -> None:
        self._database = database
        self._movable = settings.test_clock
        self._base = datetime.now(UTC)
        self._base_monotonic = time.monotonic()

    def now(self) -> datetime:
        """The database's time, in UTC, to the millisecond."""
        moment = self._base + timedelta(seconds=time.monotonic() - self._base_monotonic)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    @reaching
    async def read(self) -> None:
        """Ask the database once. Raises MailboxUnavailable."""
        before = time.monotonic()
        answer = await self._database.command("hello")
        after = time.monotonic()
        offset = await self._moved_by() if self._movable else timedelta()
        self._base = answer["localTime"].astimezone(UTC) + offset
        self._base_monotonic = (before + after) / 2

    async def keep(self, stop: asyncio.Event) -> None:
        """Read it again each ten seconds until `stop`; where the database is away, this machine's clock carries on."""
        pause = 0.2 if self._movable else READ_EACH_SECONDS
        while not stop.is_set():
            with contextlib.suppress(MailboxUnavailable):
                await self.read()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _moved_by(self) -> timedelta:
        document = await self._database["test_clock"].find_one({"_id": "clock"})
        return timedelta(seconds=document["seconds"]) if document else timedelta()

    @reaching
    async def move(self, seconds: float) -> None:
        """Set the clock ahead by `seconds`, for every process that runs with `test_clock`."""
        await self._database["test_clock"].replace_one({"_id": "clock"}, {"seconds": seconds}, upsert=True)
