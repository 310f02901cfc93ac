"""The bin's end: what has expired is purged, and a body that nobody uses any more goes with it."""

import asyncio
import contextlib
from datetime import timedelta
from itertools import chain

from prometheus_client import Counter

from shared import logs
from shared.failpoints import failpoint
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.own import OwnLetters
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal

log = logs.get("bin")

PURGED = Counter("understudy_purged_total", "Letters that expired from the bin")
FILES = Counter("understudy_orphaned_files_total", "Large bodies that no letter ever used, swept")
BATCH = 500
# Looking through the large files is no hurry: each is an upload that a crash cut short.
FILES_EACH_LOOKS = 60
# What a person began to put in, and a crash kept from being written.
UNFINISHED_AFTER = timedelta(days=1)


class Bin:
    """Looks for what has expired: rarely when there is nothing, at once again while there is."""

    def __init__(
        self,
        removal: Removal,
        bodies: Bodies,
        own: OwnLetters,
        positions: Positions,
        clock: Clock,
        look_each_seconds: float,
    ) -> None:
        self._removal = removal
        self._own = own
        self._bodies = bodies
        self._positions = positions
        self._clock = clock
        self._pause = look_each_seconds

    async def run(self, stop: asyncio.Event) -> None:
        looks = 0
        while not stop.is_set():
            try:
                full = await self._purge_some()
                if looks % FILES_EACH_LOOKS == 0:
                    await self._sweep_files()
            except MailboxUnavailable as error:
                log.warning("bin_waits", error=str(error))
                full = False
            if not full:
                looks += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._pause)

    async def _purge_some(self) -> bool:
        """Purge a batch; True: there may be more."""
        now = self._clock.now()
        expired = await self._removal.expired(now, BATCH)
        released = await self._removal.purge(expired, now)
        failpoint("pruner.before_release")
        await self._release(released)
        PURGED.inc(sum(map(len, released.values())))
        if len(expired) < BATCH:
            # A crash between gravestone and body leaves a body too many, never one too few.
            await self._release(await self._removal.holding(BATCH))
        return len(expired) == BATCH

    async def _release(self, letters_by_receipt: dict[str, list[str]]) -> None:
        if letters_by_receipt:
            await self._bodies.release(letters_by_receipt)
            failpoint("pruner.before_released")
            await self._removal.released(list(chain.from_iterable(letters_by_receipt.values())))

    async def _sweep_files(self) -> None:
        noted = {partition: offset for partition, (offset, _) in (await self._positions.noted()).items()}
        given_up = self._clock.now() - UNFINISHED_AFTER
        swept = await self._bodies.sweep_files(noted, given_up)
        await self._own.sweep(given_up, BATCH)
        if swept:
            FILES.inc(swept)
            log.warning("orphaned_files_swept", files=swept)
