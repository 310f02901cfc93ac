"""The net under every bug we did not think of: letters that no event will move are announced again, and counted."""

import asyncio
import contextlib
from datetime import timedelta

from services.forwarder.lease import Lease
from shared import logs
from shared.bus.producer import BusUnavailable, Message, Producer
from shared.mailbox import facts
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.removal import Removal
from shared.ops import RECONCILED

log = logs.get("reconcile")

BATCH = 500
for _kind in ("copy_due", "stray_claim"):
    RECONCILED.labels(_kind)


class Reconcile:
    """Finds letters that stand still, and moves them on."""

    def __init__(
        self,
        removal: Removal,
        claims: Claims,
        producer: Producer,
        clock: Clock,
        lease: Lease,
        held: set[str],
        older_than_seconds: float,
    ) -> None:
        self._removal = removal
        self._claims = claims
        self._producer = producer
        self._clock = clock
        self._lease = lease
        self._held = held
        self._age = timedelta(seconds=older_than_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        pause = self._age.total_seconds() / 2
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            if stop.is_set():
                return
            try:
                await self._announce_copies_due()
                await self._return_strays()
            except (MailboxUnavailable, BusUnavailable) as error:
                log.warning("reconciler_waits", error=str(error))

    async def _announce_copies_due(self) -> None:
        """Forwarded letters whose copy nobody took away: their `forwarded` got lost, and is told again."""
        found = await self._removal.copies_due(self._clock.now() - self._age, BATCH)
        messages = [
            Message("forwarded", letter["_id"], facts.delivered(letter).to_json(), letter["partition"])
            for letter in found
        ]
        await self._producer.publish_all(messages, within_seconds=20)
        _count("copy_due", len(found))

    async def _return_strays(self) -> None:
        """Our own claims that we do not hold: the database carried one out after we had given up on its answer, and
        had looked by the token (design rule 9). Nobody sends these letters; they are due at once."""
        claimed = await self._claims.of_forwarder(self._lease.forwarder, self._clock.now() - self._age, BATCH)
        strays = [letter for letter in claimed if letter["_id"] not in self._held]
        for letter in strays:
            await self._claims.give_back([letter["_id"]], letter["forward"]["claim"]["token"])
        _count("stray_claim", len(strays))


def _count(kind: str, letters: int) -> None:
    if letters:
        RECONCILED.labels(kind).inc(letters)
        log.warning("reconciled", kind=kind, letters=letters)
