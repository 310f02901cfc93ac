"""The right to send: a heartbeat in the database, and what is done when somebody else's stops (design rules 5 to 7)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from datetime import timedelta

from prometheus_client import Counter
from ulid import ULID

from shared import logs
from shared.failpoints import failpoint
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.forwarders import Forwarders, Unregistered
from shared.ops import RECONCILED

log = logs.get("lease")

TAKEN_OVER = Counter("understudy_taken_over_total", "Letters taken over from forwarders that stopped")
RECONCILED.labels("orphan_claim")

BEATS_IN_A_LEASE = 6


class Lease:
    """This forwarder's registration. `forwarder` is its id, new when others have given it up."""

    def __init__(self, forwarders: Forwarders, lease_seconds: float) -> None:
        self._forwarders = forwarders
        # Told with each beat: connections open from here, by destination.
        self.connections: Callable[[], dict[str, int]] = dict
        self._lease_seconds = lease_seconds
        self._last_beat = float("-inf")
        self.forwarder = ""

    @property
    def fresh(self) -> bool:
        """Whether a transaction may be opened, or a final dot be sent, now (rule 5)."""
        return time.monotonic() - self._last_beat < self._lease_seconds / 2

    async def register(self) -> None:
        """Raises MailboxUnavailable."""
        # Read before the write: a beat that took long must not count from its end.
        before = time.monotonic()
        forwarder = str(ULID())
        await self._forwarders.register(forwarder, socket.gethostname())
        self.forwarder = forwarder
        self._last_beat = before
        log.info("forwarder_registered", forwarder=forwarder)

    async def keep(self, stop: asyncio.Event, on_loss: Callable[[], None]) -> None:
        """Beat until `stop`. Where others have given this forwarder up, `on_loss` is called, and it begins anew."""
        while not stop.is_set():
            try:
                await self._beat()
            except Unregistered:
                log.warning("given_up_by_others", forwarder=self.forwarder)
                self._last_beat = float("-inf")
                on_loss()
                with contextlib.suppress(MailboxUnavailable):
                    await self.register()
            except MailboxUnavailable as error:
                log.warning("no_beat", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._lease_seconds / BEATS_IN_A_LEASE)

    async def _beat(self) -> None:
        before = time.monotonic()
        await self._forwarders.beat(self.forwarder, self.connections())
        self._last_beat = before

    async def end(self) -> None:
        """Nothing is held any more. A database that is away does not keep the process from ending."""
        with contextlib.suppress(MailboxUnavailable):
            await self._forwarders.unregister(self.forwarder)


class Watch:
    """Takes over what a forwarder holds that has not beaten for a whole lease in which we had the database (rule 6)."""

    def __init__(
        self,
        lease: Lease,
        forwarders: Forwarders,
        claims: Claims,
        clock: Clock,
        lease_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._lease = lease
        self._forwarders = forwarders
        self._claims = claims
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._retry = timedelta(seconds=retry_seconds)
        # For each other forwarder: its beats as last seen, and since when (monotonic) they have not moved.
        self._seen: dict[str, tuple[int, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._look()
            except MailboxUnavailable:
                # A lease without a break: what was seen before does not count any more.
                self._seen.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._lease_seconds / BEATS_IN_A_LEASE)

    async def _look(self) -> None:
        began = time.monotonic()
        beats = {beat.forwarder: beat.beats for beat in await self._forwarders.beats()}
        for holder in await self._claims.holders(self._clock.now() - timedelta(seconds=self._lease_seconds)):
            # A claim of nobody: its forwarder froze, was given up, and claimed once more on waking.
            beats.setdefault(holder, -1)
        beats.pop(self._lease.forwarder, None)
        now = time.monotonic()
        if now - began > self._lease_seconds / 2:
            # The database, or this process, stood still in between: no watch without a break.
            self._seen.clear()
            return
        self._seen = {
            forwarder: self._seen[forwarder]
            if forwarder in self._seen and self._seen[forwarder][0] == count
            else (count, began)
            for forwarder, count in beats.items()
        }
        for forwarder, (count, since) in list(self._seen.items()):
            if now - since > self._lease_seconds and self._lease.fresh:
                await self._take_over(forwarder, orphan=count < 0)
                del self._seen[forwarder]

    async def _take_over(self, forwarder: str, *, orphan: bool) -> None:
        # First the registration: should it wake now, it finds itself given up before it can send.
        await self._forwarders.unregister(forwarder)
        failpoint("forwarder.before_take_over")
        now = self._clock.now()
        letters = await self._claims.take_over(forwarder, now, now + self._retry)
        TAKEN_OVER.inc(letters)
        if orphan:
            RECONCILED.labels("orphan_claim").inc(letters)
        log.warning("taken_over", forwarder=forwarder, letters=letters)
