"""Asks destinations that are down whether they are back, and tests those that refuse everything: one forwarder for
each, the one that holds the partition on which the name falls."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta

from services.forwarder.destination.board import Board
from services.forwarder.outcome import Answer
from services.forwarder.plan import Planned
from services.forwarder.relay import SessionFailed, probe
from shared import logs
from shared.announcer import Announcer
from shared.destination import Destination, Health, Signal
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.settings import Forwarder

log = logs.get("keeper")

TICK_SECONDS = 0.1
JITTER = 0.2
# Probes that run at once: each is a socket. One that nobody answers lasts until its time is up, and must not take the
# place of another whose server is back.
MOST_PROBES = 2000
# After a shrunk window has held for so long, some more connections are tried.
WIDEN_SECONDS = 10.0
LONGEST_SWEEP_SECONDS = 600.0
EXPIRED = {"code": 0, "text": "given up: its lifetime was over before the main server took it"}

Test = Callable[[str, Planned], None]


class Keeper:
    """Looks after the destinations that fall to this forwarder. `test` sends one letter."""

    def __init__(
        self,
        settings: Forwarder,
        board: Board,
        destinations: Destinations,
        announcer: Announcer,
        clock: Clock,
        is_wanted: Callable[[str], bool],
        test: Test,
    ) -> None:
        self._settings = settings
        self._board = board
        self._destinations = destinations
        self._announcer = announcer
        self._clock = clock
        self._is_wanted = is_wanted
        self._test = test
        # By the loop's clock, when each is asked, tested or widened next.
        self._next: dict[str, tuple[Health, float]] = {}
        self._answered_asks: dict[str, datetime] = {}
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._probes = asyncio.Semaphore(MOST_PROBES)
        self._next_sweep = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            needy = self._board.in_need(self._long_ago())
            kept = [d for d in needy if self._board.is_keeper(d.name) and self._is_wanted(d.name)]
            for destination in kept:
                self._look_after(destination)
            self._next = {d.name: self._next[d.name] for d in kept if d.name in self._next}
            await self._sweep_now_and_then(kept)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_SECONDS)
        for task in self._tasks:
            task.cancel()

    def _look_after(self, destination: Destination) -> None:
        name, now = destination.name, asyncio.get_running_loop().time()
        if name in self._busy:
            return
        if self._is_asked_for(destination):
            self._begin(name, self._probe(destination))
            return
        known = self._next.get(name)
        if known is None or known[0] is not destination.health:
            known = self._next[name] = (destination.health, now + self._first_pause(destination))
        if now < known[1]:
            return
        if destination.health is Health.DOWN:
            self._begin(name, self._probe(destination))
        elif destination.is_tested:
            self._put_off(destination, self._settings.breaker_test_seconds)
            self._begin(name, self._test_one(destination))
        elif destination.health is Health.UP and destination.window is not None:
            self._put_off(destination, WIDEN_SECONDS)
            self._board.widen(name)

    def _is_asked_for(self, destination: Destination) -> bool:
        asked = destination.probe_asked_at
        return asked is not None and asked > self._answered_asks.get(destination.name, self._long_ago())

    def _long_ago(self) -> datetime:
        """What was asked of keepers before us is not answered any more."""
        return self._clock.now() - timedelta(seconds=30)

    def _first_pause(self, destination: Destination) -> float:
        if destination.is_tested and destination.next_probe_at is not None:
            return max(0.0, (destination.next_probe_at - self._clock.now()).total_seconds())
        if destination.health is Health.DOWN:
            return self._probe_pause()
        return WIDEN_SECONDS

    def _probe_pause(self) -> float:
        return self._settings.probe_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (spreads)

    def _put_off(self, destination: Destination, seconds: float) -> None:
        self._next[destination.name] = (destination.health, asyncio.get_running_loop().time() + seconds)

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._busy.add(name)
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._busy.discard(name)
            if not task.cancelled() and task.exception() is not None:
                log.error("keeper_failed", destination=name, error=repr(task.exception()))

        task.add_done_callback(ended)

    async def _probe(self, destination: Destination) -> None:
        """Is it there? The banner and an answer to EHLO are enough to try a letter."""
        name, asked = destination.name, destination.probe_asked_at
        host, _, port = name.rpartition(":")
        try:
            async with self._probes:
                answer = await probe(host.strip("[]"), int(port), self._settings)
        except SessionFailed as failure:
            answer = failure.answer
        if asked is not None:
            self._answered_asks[name] = asked
        is_back = 200 <= answer.code < 300
        pause = self._probe_pause()
        self._put_off(destination, pause)
        is_down = destination.health is Health.DOWN
        self._board.heard(
            name, answer, self._clock.now() + timedelta(seconds=pause) if is_down and not is_back else None
        )
        if is_back and is_down:
            self._board.signal(name, Signal.ANSWERED, _why(answer))

    async def _test_one(self, destination: Destination) -> None:
        """One letter, of an address not refused so far if there is one, shows whether it still refuses everything."""
        now = self._clock.now()
        with contextlib.suppress(MailboxUnavailable):
            letter = await self._destinations.one_to_test(destination.name, destination.refused, now)
            next_at = now + timedelta(seconds=self._settings.breaker_test_seconds)
            self._board.put_off_test(destination.name, next_at)
            if letter is not None:
                log.info("destination_tested", destination=destination.name, letter_id=letter["_id"])
                self._test(destination.name, Planned(letter["_id"], letter["partition"], letter["size"]))

    async def _sweep_now_and_then(self, kept: list[Destination]) -> None:
        """What nothing is sent of: lifetimes that are over, and trouble that nothing waits for any more."""
        now = asyncio.get_running_loop().time()
        if now < self._next_sweep:
            return
        lifetime = timedelta(days=self._settings.lifetime_days)
        self._next_sweep = now + min(LONGEST_SWEEP_SECONDS, max(1.0, lifetime.total_seconds() / 10))
        try:
            for destination in kept:
                if destination.health is not Health.UP:
                    await self._expire(destination.name, self._clock.now() - lifetime)
                if destination.health is Health.FAILING:
                    await self._settle(destination.name)
        except MailboxUnavailable as error:
            log.warning("lifetimes_unseen", error=str(error))

    async def _expire(self, name: str, armed_before: datetime) -> None:
        while ids := await self._destinations.expire(name, armed_before, self._clock.now(), EXPIRED):
            log.warning("lifetime_over", destination=name, letters=len(ids))
            self._announcer.announce_soon(ids)

    async def _settle(self, name: str) -> None:
        if not await self._destinations.anything_waits(name):
            self._board.signal(name, Signal.FLOWING, "nothing waits for it any more")


def _why(answer: Answer) -> str:
    return f"it answers: {answer.code} {answer.text}"
