"""The net under every bug we did not think of: letters that no event will move are announced again, and counted."""

import asyncio
import contextlib
from datetime import timedelta

from shared import logs
from shared.bus.producer import BusUnavailable, Message, Producer
from shared.mailbox import facts
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.removal import Removal
from shared.ops import RECONCILED

log = logs.get("reconcile")

BATCH = 500
RECONCILED.labels("copy_due")


class Reconcile:
    """Forwarded letters whose copy nobody took away: their `forwarded` got lost, and is told again."""

    def __init__(self, removal: Removal, producer: Producer, clock: Clock, older_than_seconds: float) -> None:
        self._removal = removal
        self._producer = producer
        self._clock = clock
        self._age = timedelta(seconds=older_than_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        pause = self._age.total_seconds() / 2
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            if not stop.is_set():
                await self._look()

    async def _look(self) -> None:
        try:
            found = await self._removal.copies_due(self._clock.now() - self._age, BATCH)
            messages = [
                Message("forwarded", letter["_id"], facts.delivered(letter).to_json(), letter["partition"])
                for letter in found
            ]
            await self._producer.publish_all(messages, within_seconds=20)
        except (MailboxUnavailable, BusUnavailable) as error:
            log.warning("reconciler_waits", error=str(error))
            return
        if found:
            RECONCILED.labels("copy_due").inc(len(found))
            log.warning("announced_again", kind="copy_due", letters=len(found))
