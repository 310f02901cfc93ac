"""Publishes the moves that began with a person, a clock or a crash: each carries a mark until its event is told."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from prometheus_client import Counter

from shared import logs
from shared.bus.producer import BusUnavailable, Message, Producer
from shared.failpoints import failpoint
from shared.mailbox import facts
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.letters import Letter, Letters
from shared.mailbox.marks import Marks
from shared.ops import RECONCILED

log = logs.get("announce")

DELETED = Counter("understudy_deleted_total", "Letters that left a mailbox", ["reason"])
for _reason in ("user", "trash", "pruned", "forwarded", "admin"):
    DELETED.labels(_reason)
RECONCILED.labels("unannounced")

PUBLISH_SECONDS = 10.0
BATCH = 500
# Beyond this, what is asked for in an outage is left to the sweep.
MOST_ASKED = 100_000
# A mark that is older than this was left by a crash or by an outage.
LEFT_SECONDS = 20.0
SWEEP_SECONDS = 5.0


class Announcer:
    """Tells what is marked: at once what it is asked to, and by a sweep (in one service) what a crash left."""

    def __init__(
        self, letters: Letters, marks: Marks, producer: Producer, clock: Clock, *, sweeps: bool = False
    ) -> None:
        self._sweeps = sweeps
        self._letters = letters
        self._marks = marks
        self._producer = producer
        self._clock = clock
        self._asked: list[str] = []
        self._wake = asyncio.Event()

    def announce_soon(self, letter_ids: Sequence[str]) -> None:
        """Tell the marks of these letters, in the background, at once."""
        self._asked += letter_ids
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what is asked for, and sweep, until `stop`; then tell what is still asked for."""
        stopping = asyncio.ensure_future(self._wake_at(stop))
        try:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), SWEEP_SECONDS)
                await self._round()
            await self._round()
        finally:
            stopping.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _round(self) -> None:
        self._wake.clear()
        asked, self._asked = self._asked, []
        try:
            for start in range(0, len(asked), BATCH):
                await self._tell(await self._letters.many(asked[start : start + BATCH]))
            if not asked and self._sweeps:
                await self._sweep()
        except (MailboxUnavailable, BusUnavailable) as error:
            # The marks stay, and a sweep would find them; but what was asked for is told as soon as the world is back.
            log.warning("not_announced", error=str(error), letters=len(asked))
            self._asked = (asked + self._asked)[:MOST_ASKED]
            await asyncio.sleep(1)

    async def _sweep(self) -> None:
        left_before = self._clock.now() - timedelta(seconds=LEFT_SECONDS)
        found = await self._marks.older_than(left_before, BATCH)
        if found:
            RECONCILED.labels("unannounced").inc(len(found))
            await self._tell(found)

    async def _tell(self, letters: Sequence[Letter]) -> None:
        marked = [letter for letter in letters if letter.get("unannounced")]
        failpoint("announcer.before_publish")
        await self._producer.publish_all(
            [m for letter in marked for m in _messages(letter)], within_seconds=PUBLISH_SECONDS
        )
        failpoint("announcer.before_clear")
        await self._marks.clear(marked)
        for letter in marked:
            for mark in letter["unannounced"]:
                if mark["kind"] == "deleted":
                    DELETED.labels(mark["fields"]["reason"]).inc()


def _messages(letter: Letter) -> list[Message]:
    return [
        Message(mark["kind"], letter["_id"], facts.of_mark(letter, mark).to_json(), letter["partition"])
        for mark in letter["unannounced"]
    ]
