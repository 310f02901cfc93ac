"""Writes down how tries ended, in batches, and tells `forwarded`: the outcome is durable before anybody hears of it."""

import asyncio
from collections.abc import Sequence

from prometheus_client import Counter

from shared import logs
from shared.announcer import Announcer
from shared.bus.producer import BusUnavailable, Message, Producer
from shared.failpoints import failpoint
from shared.mailbox import facts
from shared.mailbox.claims import Claims, Tried
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.letters import Letter
from shared.rate import Rate

log = logs.get("record")

FORWARDED = Counter("understudy_forwarded_total", "Letters answered for good", ["destination", "outcome"])
PUBLISH_SECONDS = 20.0
MOST = 500
# A little later makes larger batches; a lone result never waits.
WINDOW_SECONDS = 0.05
WINDOW_FROM_PER_SECOND = 50


class Record:
    """Takes results from the couriers and does not lose one: it tries until the database has them."""

    def __init__(self, claims: Claims, producer: Producer, announcer: Announcer, clock: Clock, held: set[str]) -> None:
        self._held = held
        self._claims = claims
        self._producer = producer
        self._announcer = announcer
        self._clock = clock
        self._tries: list[Tried] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, tried: Tried) -> None:
        self._tries.append(tried)
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Wait until all that was added is written down and told."""
        await self._idle.wait()
        if self._telling:
            await asyncio.wait(self._telling)

    async def run(self) -> None:
        """Write down for ever; the owner ends it once `settled`."""
        rate = Rate()
        while True:
            await self._wake.wait()
            if rate.per_second >= WINDOW_FROM_PER_SECOND and len(self._tries) < MOST:
                await asyncio.sleep(WINDOW_SECONDS)
            batch, self._tries = self._tries[:MOST], self._tries[MOST:]
            delivered = await self._write(batch)
            # Beside the next batch's writing: a silent broker must not keep outcomes out of the database.
            telling = asyncio.ensure_future(self._tell(delivered))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            rate.count(len(batch), asyncio.get_running_loop().time())
            if not self._tries:
                self._wake.clear()
                self._idle.set()

    async def _write(self, batch: Sequence[Tried]) -> list[Letter]:
        failpoint("forwarder.before_record")
        try:
            delivered = await self._written(batch)
        except Exception:
            log.exception("outcomes_refused", letters=len(batch))
            if len(batch) > 1:
                return [letter for tried in batch for letter in await self._write([tried])]
            # Its claim stays, and with it the letter where it is, until this forwarder is started again: sending it
            # once more might be sending it twice.
            return []
        self._held.difference_update(tried.letter_id for tried in batch)
        for tried in batch:
            reply = tried.reply
            log.info("letter_tried", letter_id=tried.letter_id, end=tried.end, code=reply.code, text=reply.text)
        # These may have been parked, and then carry a mark.
        self._announcer.announce_soon([t.letter_id for t in batch if t.end == "park" or t.unknown])
        return delivered

    async def _written(self, batch: Sequence[Tried]) -> list[Letter]:
        pause = 0.2
        while True:
            try:
                return await self._claims.record(batch, self._clock.now())
            except MailboxUnavailable as error:
                log.warning("outcomes_wait", letters=len(batch), error=str(error))
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _tell(self, delivered: Sequence[Letter]) -> None:
        failpoint("forwarder.before_publish")
        messages = [
            Message("forwarded", letter["_id"], facts.delivered(letter).to_json(), letter["partition"])
            for letter in delivered
        ]
        try:
            await self._producer.publish_all(messages, within_seconds=PUBLISH_SECONDS)
        except BusUnavailable as error:
            # Their `copy_due` marks stay; the reconciler tells them when the broker is back.
            log.warning("forwarded_untold", letters=len(messages), error=str(error))
        for letter in delivered:
            FORWARDED.labels(letter["forward"]["destination"], "delivered").inc()
