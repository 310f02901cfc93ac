"""What waits, waits for the user's target of now: the net under a change of target (design rule 12).

The change itself files the letters again at once. A crash in between, or a letter that the intake was just putting in
under the old target, is found here a little later, by the mark that the change left in the user.
"""

import asyncio
import contextlib
from datetime import timedelta

from shared import logs
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.users import Users

log = logs.get("refile")

# Longer than the intake takes from reading a user to writing his letters.
SETTLED = timedelta(seconds=30)
EACH_SECONDS = 10.0


class Refile:
    """Files letters again for users whose target has changed."""

    def __init__(self, users: Users, destinations: Destinations, clock: Clock) -> None:
        self._users = users
        self._destinations = destinations
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.sweep()
            except MailboxUnavailable as error:
                log.warning("not_refiled", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EACH_SECONDS)

    async def sweep(self) -> int:
        """File again what is misfiled; returns how many letters. Raises MailboxUnavailable."""
        now, moved = self._clock.now(), 0
        for user in await self._users.retargeted(now - SETTLED):
            if user.target is not None:
                moved += await self._destinations.refile(user.address, user.target.name, now)
            await self._users.filed_again(user)
        return moved
