"""What waits in the database and no event has brought: tries that are due again, letters of partitions that have just
become ours, all that waited while its destination was away, what an event that got lost should have told."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from datetime import timedelta

from services.forwarder.destination.board import Board
from services.forwarder.dispatch import Dispatch
from services.forwarder.follow import Follow
from services.forwarder.plan import LOW, Plan, Planned
from shared import logs
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.letters import EVENT_GRACE, Letter
from shared.mailbox.users import Users
from shared.settings import Forwarder

log = logs.get("backlog")

# Planned for one destination at a time; the next look brings the next.
ENOUGH = 3 * LOW
NAMES_SECONDS = 2.0
# Names that no user has any more and letters still wait for: left by a crash. A look at every letter's name.
ALL_NAMES_SECONDS = 60.0
# The moment of a letter that was never tried is only its event's grace. It is not waited for where the event may have
# come to somebody else, or while we did not listen; so long after a change.
EAGER_GRACE = EVENT_GRACE + timedelta(seconds=2)
EAGER_SECONDS = 15.0


class Backlog:
    """Looks for due letters in the partitions that this forwarder holds, and in all where it sends for all."""

    def __init__(
        self,
        settings: Forwarder,
        destinations: Destinations,
        users: Users,
        plan: Plan,
        follow: Follow,
        dispatch: Dispatch,
        board: Board,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._destinations = destinations
        self._users = users
        self._plan = plan
        self._follow = follow
        self._dispatch = dispatch
        self._board = board
        self._clock = clock
        self.names: frozenset[str] = frozenset()
        # Known without any user's having them.
        self.always: frozenset[str] = frozenset()
        self._waiting_names: frozenset[str] = frozenset()
        self._names_since = self._all_names_since = float("-inf")
        self._held: frozenset[int] = frozenset()
        self._eager_until: dict[str, float] = {}
        self._all_eager_until = 0.0
        # Names whose last look found as many as it asked for: there is more.
        self._more: set[str] = set()
        self._hurried: set[str] = set()
        # By the loop's clock, when everything is looked for next.
        self._next_look = 0.0
        self._wake = asyncio.Event()

    def hurry(self, name: str) -> None:
        """Its letters may go now, or their events may have come while they might not."""
        self._eager_until[name] = asyncio.get_running_loop().time() + EAGER_SECONDS
        self._hurried.add(name)
        self._wake.set()

    def hurry_all(self) -> None:
        """Partitions have come, and with them what waits there."""
        self._next_look = 0.0
        self._wake.set()

    def low(self, name: str) -> None:
        """Little is left in the plan of what was found for it."""
        if name in self._more:
            self._more.discard(name)
            self._hurried.add(name)
            self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.ensure_future(self._wake_at(stop))
        try:
            while not stop.is_set():
                is_full = loop.time() >= self._next_look
                if is_full:
                    # Hurried while it looks, it looks again.
                    self._next_look = float("inf")
                if self._settings.backlog_scan and self._follow.partitions:
                    try:
                        await self._look(everything=is_full)
                    except MailboxUnavailable as error:
                        log.warning("backlog_unseen", error=str(error))
                if is_full:
                    self._dispatch.put_away_idle()
                    self._next_look = min(self._next_look, loop.time() + self._settings.backlog_seconds)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), max(0.01, self._next_look - loop.time()))
                self._wake.clear()
        finally:
            stopping.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _look(self, *, everything: bool) -> None:
        hurried, self._hurried = self._hurried, set()
        if self._held != self._follow.partitions:
            self._held = self._follow.partitions
            self._all_eager_until = asyncio.get_running_loop().time() + EAGER_SECONDS
        await self._know_names()
        names = self.names if everything else hurried
        open_names = [n for n in names if self._board.of(n).flows and self._plan.count_waited(n) < LOW]
        groups: dict[tuple[frozenset[int], bool], list[str]] = {}
        for name in open_names:
            partitions = self._board.partitions(name)
            if partitions:
                is_eager = partitions != self._held or self._is_eager(name)
                groups.setdefault((partitions, is_eager), []).append(name)
        for (partitions, is_eager), group in groups.items():
            await self._look_for(sorted(group), partitions, is_eager=is_eager)

    def _is_eager(self, name: str) -> bool:
        now = asyncio.get_running_loop().time()
        return now < self._all_eager_until or now < self._eager_until.get(name, 0.0)

    async def _look_for(self, names: Sequence[str], partitions: frozenset[int], *, is_eager: bool) -> None:
        """One round trip for many names with little to do; one more for each that has much."""
        while names:
            if len(names) == 1:
                await self._look_for_one(names[0], partitions, is_eager=is_eager)
                return
            now = self._clock.now()
            until = now + EAGER_GRACE if is_eager else now
            found = await self._destinations.due(names, partitions, now, ENOUGH, pending_until=until)
            is_cut = len(found) == ENOUGH
            last = found[-1]["forward"]["destination"] if is_cut else None
            whole = [name for name in names if last is None or name < last]
            self._take_in([letter for letter in found if letter["forward"]["destination"] != last], partitions)
            self._tell_drained(whole, {letter["forward"]["destination"] for letter in found})
            if last is None:
                return
            await self._look_for_one(last, partitions, is_eager=is_eager)
            names = [name for name in names if name > last]

    async def _look_for_one(self, name: str, partitions: frozenset[int], *, is_eager: bool) -> None:
        now = self._clock.now()
        most = ENOUGH + self._plan.count(name)
        until = now + EAGER_GRACE if is_eager else now
        found = await self._destinations.oldest_due(name, partitions, now, most, pending_until=until)
        if len(found) == most:
            self._more.add(name)
        else:
            self._more.discard(name)
        self._take_in(found, partitions)
        self._tell_drained([name], {name} if found else set())

    def _take_in(self, found: Sequence[Letter], partitions: frozenset[int]) -> None:
        if not self._follow.partitions or (partitions != self._follow.partitions and partitions == self._held):
            # They have moved to others meanwhile.
            return
        woken = set()
        for letter in found:
            destination = letter["forward"]["destination"]
            planned = Planned(letter["_id"], letter["partition"], letter["size"])
            if self._board.of(destination).flows and self._plan.add(destination, planned, waited=True):
                woken.add(destination)
        for destination in woken:
            self._dispatch.wake(destination)

    def _tell_drained(self, names: Collection[str], found: Collection[str]) -> None:
        for name in names:
            if name not in found:
                self._dispatch.drained(name)

    async def _know_names(self) -> None:
        """Every destination that a user has, and now and then every one that a letter waits for."""
        now = asyncio.get_running_loop().time()
        if now - self._all_names_since > ALL_NAMES_SECONDS:
            self._waiting_names = frozenset(await self._destinations.names_waiting())
            self._all_names_since = asyncio.get_running_loop().time()
            self._names_since = float("-inf")
        if now - self._names_since > NAMES_SECONDS:
            self.names = self.always | self._waiting_names | frozenset(await self._users.destinations())
            self._names_since = now
