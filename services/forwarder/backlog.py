"""What waits in the database and no event has brought: tries that are due again, letters of partitions that have just
become ours, what a full plan dropped, what an event that got lost should have told."""

import asyncio
import contextlib
from collections import Counter as Tally

from services.forwarder.dispatch import Dispatch
from services.forwarder.follow import Follow
from services.forwarder.plan import Plan, Planned
from shared import logs
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.users import Users
from shared.settings import Forwarder

log = logs.get("backlog")

# Planned for one destination at a time; the next look brings the next.
ENOUGH = 1000
NAMES_SECONDS = 2.0


class Backlog:
    """Looks for due letters in the partitions that this forwarder holds."""

    def __init__(
        self,
        settings: Forwarder,
        destinations: Destinations,
        users: Users,
        plan: Plan,
        follow: Follow,
        dispatch: Dispatch,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._destinations = destinations
        self._users = users
        self._plan = plan
        self._follow = follow
        self._dispatch = dispatch
        self._clock = clock
        self._names: frozenset[str] = frozenset()
        self._names_since = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._settings.backlog_scan and self._follow.partitions:
                try:
                    await self._look()
                except MailboxUnavailable as error:
                    log.warning("backlog_unseen", error=str(error))
            self._dispatch.put_away_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._settings.backlog_seconds)

    async def _look(self) -> None:
        names = await self._known_names() - self._dispatch.held()
        planned = Tally({name: self._plan.count(name) for name in names})
        fresh = [name for name in names if not planned[name]]
        await self._plan_due(fresh)
        for name in names:
            if 0 < planned[name] < ENOUGH // 2:
                await self._plan_due([name])

    async def _plan_due(self, names: list[str]) -> None:
        if not names:
            return
        partitions = self._follow.partitions
        due = await self._destinations.due(names, partitions, self._clock.now(), ENOUGH)
        if partitions != self._follow.partitions:
            return
        found = set()
        for letter in due:
            destination = letter["forward"]["destination"]
            if self._plan.add(destination, Planned(letter["_id"], letter["partition"], letter["size"])):
                found.add(destination)
        for destination in found:
            self._dispatch.wake(destination)

    async def _known_names(self) -> frozenset[str]:
        """Every destination that a user has or a letter waits for; asked for every few seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._names_since > NAMES_SECONDS:
            waiting = {waiting.destination for waiting in await self._destinations.waiting(self._follow.partitions)}
            self._names = frozenset(waiting | set(await self._users.destinations()))
            self._names_since = now
        return self._names
