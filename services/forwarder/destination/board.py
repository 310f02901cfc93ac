"""What this forwarder knows of every destination's health: read from the database twice a second, moved by what is seen
here. The database decides; a view that is half a second old only makes a try too many or one a moment later."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from services.forwarder.destination.window import home, is_keepers_alone, share
from services.forwarder.metrics import UP
from services.forwarder.outcome import Answer, Meaning
from shared import logs
from shared.destination import MOVES, Change, Destination, Health, Signal, Tally, moved
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.health import HealthOfDestinations, Heard
from shared.settings import Forwarder

log = logs.get("destination")

POLL_SECONDS = 0.5
# Changes are found by their moment; clocks of forwarders differ a little.
OVERLAP = timedelta(seconds=3)
# Another forwarder that had a letter taken so recently knows better than our failed session.
OTHERS_WORK = timedelta(seconds=10)
MOST_NOTE_SECONDS = 5.0
# Outcomes are written in batches; by then all that were known when it recovered are.
STRAGGLERS_SECONDS = 2.0
# Of a server's text in a destination's history.
MOST_WHY = 200

Followed = Callable[[], frozenset[int]]
Turned = Callable[[Destination, Destination], None]
T = TypeVar("T")
# A change to be made: from what the database has now to what it is to be; itself: nothing.
Step = Callable[[Destination], Destination]


@dataclass(frozen=True, slots=True)
class _Asked:
    step: Step
    why: str
    # Only where no other forwarder has had a letter taken since that moment.
    unless_taken_since: datetime | None = None


class Board:
    """Destinations as this forwarder sees them. `turned` is called after each change, its own and others'."""

    def __init__(
        self,
        settings: Forwarder,
        health: HealthOfDestinations,
        destinations: Destinations,
        clock: Clock,
        followed: Followed,
    ) -> None:
        self._settings = settings
        self._health = health
        self._destinations = destinations
        self._clock = clock
        self._followed = followed
        self._known: dict[str, Destination] = {}
        self._tallies: dict[str, Tally] = {}
        self._asked: dict[str, list[_Asked]] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self._latest: datetime | None = None
        self._taken: dict[str, datetime] = {}
        self._taken_untold: dict[str, datetime] = {}
        self._heard: dict[str, Heard] = {}
        self._last_codes: dict[str, int] = {}
        self.turned: Turned = lambda _before, _after: None
        # Ours, in notes of letters taken; any name that others do not have.
        self.by = f"{random.getrandbits(64):x}"

    def of(self, name: str) -> Destination:
        return self._known.get(name) or Destination(name)

    def in_need(self, asked_since: datetime) -> list[Destination]:
        """Those that somebody has to look after: not up, or held to a window, or a probe was asked for since then."""
        return [
            d
            for d in self._known.values()
            if d.health is not Health.UP or d.window or (d.probe_asked_at and d.probe_asked_at > asked_since)
        ]

    def is_keeper(self, name: str) -> bool:
        """Whether this forwarder asks and tests it, and sends alone while little may be sent."""
        return home(name, self._settings.partitions) in self._followed()

    def partitions(self, name: str) -> frozenset[int]:
        """Whose letters this forwarder sends to it: all, none, or those of its own partitions."""
        if not self._is_keepers_alone(self.of(name)):
            return self._followed()
        return frozenset(range(self._settings.partitions)) if self.is_keeper(name) else frozenset()

    def connections(self, name: str, ramp: int) -> int:
        """How many connections this forwarder may have to it now. While it recovers, `ramp` at most."""
        destination, held = self.of(name), self._followed()
        if destination.health is Health.DOWN or destination.suspended_by == "person":
            return 0
        if destination.is_tested:
            return 1
        most = self._settings.forwarder_connections
        if destination.health is Health.RECOVERING:
            return min(most, ramp, self._settings.destination_connections) if self.is_keeper(name) else 0
        return min(most, share(name, self._window(destination), held, self._settings.partitions))

    def one_at_a_time(self, name: str, ramp: int) -> bool:
        """Whether the next letter waits for what becomes of this one."""
        health = self.of(name).health
        return health in (Health.FAILING, Health.SUSPENDED) or (health is Health.RECOVERING and ramp <= 1)

    def full_ramp(self) -> int:
        """So many connections of the keeper, and it has recovered."""
        return min(self._settings.forwarder_connections, self._settings.destination_connections)

    def _window(self, destination: Destination) -> int:
        if destination.health is Health.FAILING:
            return 1
        limit = self._settings.destination_connections
        return min(limit, destination.window or limit)

    def _is_keepers_alone(self, destination: Destination) -> bool:
        if destination.health is not Health.UP:
            return True
        return is_keepers_alone(self._window(destination), self._settings.partitions)

    def taken_at(self, name: str) -> datetime | None:
        """When it last took a letter, as far as is known here."""
        told = self.of(name).taken_at
        seen = self._taken.get(name)
        return max(told, seen) if told and seen else told or seen

    # What is seen here.

    def hear(self, name: str, answer: Answer, address: str, sessions: int) -> None:
        """How a try ended; `sessions` others are open from here at this moment."""
        tally, meaning = self._tallies.setdefault(name, Tally()), answer.meaning
        if self._last_codes.get(name) != answer.code:
            self._last_codes[name] = answer.code
            self._heard.setdefault(name, Heard(answer.code, answer.text, self._clock.now()))
        if meaning is Meaning.BUSY:
            meaning = Meaning.BUSY if sessions else Meaning.FAILED if answer.code == 421 else Meaning.DEFERRED
        match meaning:
            case Meaning.TAKEN:
                self._taken[name] = self._taken_untold[name] = self._clock.now()
                self._signal(name, tally.taken(), "it took a letter")
            case Meaning.REFUSED:
                self._refused(name, tally, answer, address)
            case Meaning.DEFERRED:
                self._signal(name, tally.deferred(), f"nothing but 4xx: {_said(answer)}", _a_while_before(self._clock))
            case Meaning.FAILED if not sessions:
                self._signal(name, tally.failed(), _said(answer), _a_while_before(self._clock))
            case Meaning.BUSY:
                self._shrink(name, sessions, answer)

    def _refused(self, name: str, tally: Tally, answer: Answer, address: str) -> None:
        signal = tally.refused_letter(address)
        if self.of(name).is_tested:
            self._start(self._note_refused(name, address))
        refused = tally.refused

        def suspended(destination: Destination) -> Destination:
            now = self._clock.now()
            after = moved(destination, Signal.REFUSING, now, refused=refused)
            return after if after is destination else replace(after, next_probe_at=now + self._test_pause())

        if signal is not None and self.of(name).health in MOVES[signal]:
            why = f"{tally.refusals} letters refused in a row, the last: {_said(answer)}"
            self.change(name, suspended, why, _a_while_before(self._clock))

    def _signal(self, name: str, signal: Signal | None, why: str, unless: datetime | None = None) -> None:
        if signal is not None and self.of(name).health in MOVES[signal]:
            self.signal(name, signal, why, unless)

    def signal(self, name: str, signal: Signal, why: str, unless: datetime | None = None) -> None:
        """Move it as the table says; `unless` another forwarder has had a letter taken since that moment."""
        self.change(name, lambda destination: moved(destination, signal, self._clock.now()), why, unless)

    def _shrink(self, name: str, sessions: int, answer: Answer) -> None:
        """It wants fewer connections; it gets what works now, over all forwarders as far as is known here."""
        destination = self.of(name)
        ours = self.connections(name, self.full_ramp())
        window = max(1, self._window(destination) * sessions // max(1, ours, sessions))
        if window < self._window(destination) and destination.health is Health.UP:
            self.change(name, lambda known: replace(known, window=window), f"too many connections: {_said(answer)}")

    def widen(self, name: str) -> None:
        """A while has passed without complaint: some more connections."""

        def wider(known: Destination) -> Destination:
            if known.window is None:
                return known
            window = known.window + max(1, known.window // 4)
            return replace(known, window=window if window < self._settings.destination_connections else None)

        self.change(name, wider, "more connections again")

    def heard(self, name: str, answer: Answer, next_at: datetime | None) -> None:
        """What it said to a probe; written down with others'."""
        self._heard[name] = Heard(answer.code, answer.text, self._clock.now(), next_at, was_probe=True)
        self._last_codes[name] = answer.code

    def put_off_test(self, name: str, next_at: datetime) -> None:
        """The next letter tests it then; written down for whoever keeps it by that time."""
        self.change(name, lambda known: replace(known, next_probe_at=next_at) if known.is_tested else known, "tested")

    # Writing and reading.

    def change(self, name: str, step: Step, why: str, unless_taken_since: datetime | None = None) -> None:
        """Make a change in the database, in the background; changes of one destination follow each other."""
        waiting = self._asked.setdefault(name, [])
        waiting.append(_Asked(step, why, unless_taken_since))
        if len(waiting) == 1:
            self._start(self._write(name, waiting))

    async def _write(self, name: str, waiting: list[_Asked]) -> None:
        while waiting:
            try:
                done = await self._try_to_change(name, waiting[0])
            except MailboxUnavailable as error:
                log.warning("destination_unwritten", destination=name, error=str(error))
                await asyncio.sleep(1)
                continue
            if done:
                waiting.pop(0)
        del self._asked[name]

    async def _try_to_change(self, name: str, asked: _Asked) -> bool:
        """False: somebody else changed it at this moment; try again."""
        now, before = self._clock.now(), await self._health.get(name)
        after = before if self._is_contradicted(before, asked.unless_taken_since) else asked.step(before)
        if after is before:
            self._learn(before)
            return True
        if after.health is Health.RECOVERING and before.health is not Health.RECOVERING:
            # Before the change: a crash in between leaves it to be done again.
            await self._destinations.release(name, now)
        change = Change(now, after.health, asked.why[:MOST_WHY], after.suspended_by)
        if not await self._health.replace(before, after, now, change if after.health is not before.health else None):
            return False
        if after.health is not before.health:
            log.warning("destination_changed", destination=name, was=str(before.health), state=str(after.health))
            if after.health is Health.RECOVERING:
                self._start(self._release_stragglers(name))
        self._learn(replace(after, version=before.version + 1))
        return True

    async def _release_stragglers(self, name: str) -> None:
        """Letters that it refused just before it took one, and whose refusal was written down just after."""
        await asyncio.sleep(STRAGGLERS_SECONDS)
        with contextlib.suppress(MailboxUnavailable):
            await self._destinations.release(name, self._clock.now())

    def _is_contradicted(self, known: Destination, since: datetime | None) -> bool:
        """Whether another forwarder has had a letter taken since that moment."""
        if since is None or known.taken_at is None or known.taken_by == self.by:
            return False
        return known.taken_at >= since

    def _learn(self, destination: Destination) -> None:
        before = self.of(destination.name)
        if destination.version < before.version:
            return
        self._known[destination.name] = destination
        UP.labels(destination.name).set(destination.health in (Health.UP, Health.RECOVERING))
        if destination.health not in (before.health, Health.FAILING):
            # The first failure of three made it failing, and counts.
            self._tallies.pop(destination.name, None)
        if before != destination:
            self.turned(before, destination)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow what others change, and tell what was heard here, until `stop`."""
        notes_each = min(MOST_NOTE_SECONDS, max(POLL_SECONDS, self._settings.believe_seconds / 10))
        loop = asyncio.get_running_loop()
        next_notes = 0.0
        while not stop.is_set():
            try:
                await self._look()
                if loop.time() >= next_notes:
                    next_notes = loop.time() + notes_each
                    await self._tell_notes()
            except MailboxUnavailable as error:
                log.warning("destinations_unseen", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
        if self._writers:
            await asyncio.wait(self._writers, timeout=2)

    async def read(self) -> None:
        """All that is known, once, before any letter is claimed. Raises MailboxUnavailable."""
        await self._look()

    async def _look(self) -> None:
        changed, latest = await self._health.changed_since(self._latest and self._latest - OVERLAP)
        self._latest = latest
        for destination in changed:
            self._learn(destination)
        heard = dict(self._heard)
        await self._health.note_heard(heard)
        _leave_out(self._heard, heard)

    async def _tell_notes(self) -> None:
        told = dict(self._taken_untold)
        await self._health.note_taken(told, self.by)
        _leave_out(self._taken_untold, told)

    async def _note_refused(self, name: str, address: str) -> None:
        with contextlib.suppress(MailboxUnavailable):
            await self._health.note_refused(name, [address])
            known = self.of(name)
            self._known[name] = replace(known, refused=(*known.refused, address))

    def _start(self, writing: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(writing)
        self._writers.add(task)
        task.add_done_callback(self._writers.discard)

    def _test_pause(self) -> timedelta:
        return timedelta(seconds=self._settings.breaker_test_seconds)


def _leave_out(notes: dict[str, T], told: dict[str, T]) -> None:
    """Those that are written down, and not told anew meanwhile."""
    for name, note in told.items():
        if notes.get(name) is note:
            del notes[name]


def _a_while_before(clock: Clock) -> datetime:
    return clock.now() - OTHERS_WORK


def _said(answer: Answer) -> str:
    return f"{answer.code} {answer.text}" if answer.code else answer.text
