"""What this forwarder shows of the letters in its partitions; the sum over all forwarders is the whole."""

import asyncio
import contextlib

from services.forwarder.dispatch import Dispatch
from services.forwarder.follow import Follow
from services.forwarder.metrics import IN_HAND, OLDEST, PLANNED, WAITING
from services.forwarder.plan import Plan
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations

EACH_SECONDS = 5.0
TIMES_AS_LONG = 40


class Measure:
    """Refreshes the gauges."""

    def __init__(
        self, destinations: Destinations, follow: Follow, plan: Plan, dispatch: Dispatch, clock: Clock
    ) -> None:
        self._destinations = destinations
        self._follow = follow
        self._clock = clock
        self._shown: set[str] = set()
        PLANNED.set_function(lambda: float(len(plan)))
        IN_HAND.set_function(lambda: float(dispatch.in_hand))

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            with contextlib.suppress(MailboxUnavailable):
                await self._refresh()
            # Counting a million takes long; it must not take more than a small part of the database's time.
            pause = max(EACH_SECONDS, TIMES_AS_LONG * (loop.time() - began))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _refresh(self) -> None:
        now = self._clock.now()
        found = {w.destination: w for w in await self._destinations.waiting(self._follow.partitions)}
        for name in self._shown - found.keys():
            WAITING.labels(name).set(0)
            OLDEST.labels(name).set(0)
        for name, waiting in found.items():
            WAITING.labels(name).set(waiting.letters)
            OLDEST.labels(name).set(max(0.0, (now - waiting.oldest_at).total_seconds()))
        self._shown |= found.keys()
