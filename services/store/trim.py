"""`received` has no end by time: it is trimmed here, below what the mailbox has and older than the oldest backup of the
database that may be put back (design rule 13). Gravestones go when their record cannot come again."""

import asyncio
import contextlib
from datetime import timedelta

from shared import logs
from shared.bus import topics
from shared.bus.producer import BusUnavailable
from shared.bus.tail import Tail
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.settings import Store

log = logs.get("trim")

EACH_SECONDS = 3600.0


class Trim:
    """Trims now and then; several stores may do it at once."""

    def __init__(self, settings: Store, positions: Positions, removal: Removal, clock: Clock) -> None:
        self._settings = settings
        self._positions = positions
        self._removal = removal
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.trim()
            except (BusUnavailable, MailboxUnavailable) as error:
                log.warning("not_trimmed", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EACH_SECONDS)

    async def trim(self) -> dict[int, int]:
        """Trim once; returns the first offset left of each partition. Raises BusUnavailable, MailboxUnavailable."""
        oldest_backup = self._clock.now() - timedelta(days=self._settings.topic_retention_days)
        noted = await self._positions.noted()
        async with Tail(self._settings, ["received"]) as tail:
            aged = (await tail.from_time(int(oldest_backup.timestamp() * 1000)))["received"]
            starts = (await tail.from_beginning())["received"]
        ends = {number: min(aged[number], noted[number][0]) for number in aged if number in noted}
        trimmed = {number: end for number, end in ends.items() if end > starts[number]}
        if trimmed:
            await topics.trim(self._settings, "received", trimmed)
            log.info("received_trimmed", below=trimmed)
        for number, end in (starts | trimmed).items():
            await self._removal.forget_gravestones(number, end)
        return starts | trimmed
