"""What people may do with destinations: see how they are, suspend, resume, drain and probe them, and hurry letters.

Health moves by the same table as the forwarders' (shared/destination.py), by compare-and-set on the same documents; the
forwarders hear of it within a second.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.store.mailbox import NotNow, NotThere, Person
from shared.announcer import Announcer
from shared.destination import Change, Destination, Health, Signal, moved
from shared.mailbox.audit import Audit
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.destinations import Destinations, Waiting
from shared.mailbox.forwarders import Forwarders
from shared.mailbox.health import HealthOfDestinations
from shared.mailbox.users import Users

# A view of all states is so old at most; each page of letters asks for it.
FRESH_SECONDS = 0.5
# Counting a million letters takes long: then counts are kept a while, the longer the counting took.
LONG_SECONDS = 0.2
TIMES_AS_LONG = 10
PROBE_SECONDS = 15.0
_TRIES = 10


@dataclass(frozen=True, slots=True)
class MainServer:
    """A destination, what waits for it, and what was heard of it (`told`: the document as it is kept)."""

    name: str
    waiting: Waiting | None
    in_flight: int
    connections: int
    told: dict[str, Any]

    @property
    def health(self) -> Health:
        return Health(self.told.get("health", Health.UP))


class MainServers:
    """Destinations, for administrators."""

    def __init__(self, database: Database, clock: Clock, announcer: Announcer) -> None:
        self._health = HealthOfDestinations(database)
        self._destinations = Destinations(database)
        self._claims = Claims(database)
        self._forwarders = Forwarders(database)
        self._users = Users(database)
        self._audit = Audit(database)
        self._clock = clock
        self._announcer = announcer
        self._states: tuple[float, dict[str, Health]] = (float("-inf"), {})
        self._counts: tuple[float, list[Waiting]] = (float("-inf"), [])

    async def states(self) -> dict[str, Health]:
        """The health of each destination that is not simply up; half a second old at most."""
        until, states = self._states
        if time.monotonic() > until:
            told, _ = await self._health.changed_since(None)
            states = {one.name: one.health for one in told if one.health is not Health.UP}
            self._states = (time.monotonic() + FRESH_SECONDS, states)
        return states

    async def all(self) -> list[MainServer]:
        """Every main server that some user has, or that something waits for, by name."""
        waiting = {one.destination: one for one in await self._waiting()}
        in_flight, told = await self._destinations.in_flight(), await self._health.shown()
        connections = await self._forwarders.connections()
        names = {*await self._users.destinations(), *waiting, *in_flight}
        return [
            MainServer(name, waiting.get(name), in_flight.get(name, 0), connections.get(name, 0), told.get(name, {}))
            for name in sorted(names)
        ]

    async def one(self, name: str) -> MainServer:
        """Raises NotThere."""
        for server in await self.all():
            if server.name == name.lower():
                return server
        raise NotThere

    async def _waiting(self) -> list[Waiting]:
        until, counts = self._counts
        if time.monotonic() > until:
            began = time.monotonic()
            counts = await self._destinations.waiting()
            seconds = time.monotonic() - began
            kept = TIMES_AS_LONG * seconds if seconds > LONG_SECONDS else 0.0
            self._counts = (began + seconds + kept, counts)
        return counts

    async def suspend(self, person: Person, name: str) -> MainServer:
        """Nothing is sent to it until a person resumes it. Raises NotThere, NotNow."""
        return await self._act(person, name, Signal.SUSPEND, "suspend")

    async def resume(self, person: Person, name: str) -> MainServer:
        """End a suspension, and make all that waits due now. Raises NotThere, NotNow."""
        return await self._act(person, name, Signal.RESUME, "resume")

    async def drain(self, person: Person, name: str) -> MainServer:
        """Try now, whatever is known of it, and make all that waits due now. Raises NotThere, NotNow."""
        return await self._act(person, name, Signal.DRAIN, "drain")

    async def _act(self, person: Person, name: str, signal: Signal, deed: str) -> MainServer:
        server = await self.one(name)
        released = 0
        if signal is not Signal.SUSPEND:
            released = await self._destinations.release(server.name, self._clock.now())
        await self._move(person, server.name, signal, deed)
        await self._audit.note(person.name, deed, server.name, self._clock.now(), made_due=released)
        self._states, self._counts = (float("-inf"), {}), (float("-inf"), [])
        return await self.one(server.name)

    async def _move(self, person: Person, name: str, signal: Signal, deed: str) -> None:
        def step(known: Destination) -> Destination:
            # The same state may be written once more: forwarders look for what waits when they hear of a change.
            return moved(known, signal, self._clock.now())

        await self._change(name, step, f"{deed}, by {person.name}", person.name)

    async def _change(self, name: str, step: Callable[[Destination], Destination], why: str, by: str) -> None:
        for _ in range(_TRIES):
            now, before = self._clock.now(), await self._health.get(name)
            after = step(before)
            change = Change(now, after.health, why, by) if after is not before else None
            if await self._health.replace(before, after, now, change):
                return
        raise NotNow("the destination is being changed at this moment: try again")

    async def probe(self, person: Person, name: str) -> MainServer:
        """Ask it now whether it is there, and wait for what it says. Raises NotThere, NotNow."""
        server, asked = await self.one(name), self._clock.now()
        await self._health.ask_for_probe(server.name, asked)
        await self._audit.note(person.name, "probe", server.name, asked)
        ends = time.monotonic() + PROBE_SECONDS
        while time.monotonic() < ends:
            told = (await self._health.shown([server.name])).get(server.name, {})
            if told.get("probed_at") is not None and told["probed_at"] >= asked:
                return await self.one(name)
            await asyncio.sleep(0.2)
        raise NotNow("it has not answered yet, or no forwarder is there to ask it: look at it again in a moment")

    async def forward_all_of_user(self, person: Person, address: str, *, parked: bool) -> int:
        """Make all letters of a user that wait due now and, if asked, arm the parked ones again; returns how many.
        Raises NotThere."""
        if await self._users.get(address) is None:
            raise NotThere
        return await self._forward_all(person, address, {"address": address}, parked=parked)

    async def forward_all_to(self, person: Person, name: str, *, parked: bool) -> int:
        """The same for a destination. Raises NotThere."""
        server = await self.one(name)
        return await self._forward_all(person, server.name, {"forward.destination": server.name}, parked=parked)

    async def _forward_all(self, person: Person, on: str, which: dict[str, Any], *, parked: bool) -> int:
        hurried = await self._destinations.hurry(which, self._clock.now())
        rearmed = 0
        while parked:
            ids = await self._claims.rearm_some(which, self._clock.now())
            if not ids:
                break
            rearmed += len(ids)
            self._announcer.announce_soon(ids)
        await self._audit.note(person.name, "forward_now", on, self._clock.now(), made_due=hurried, armed_again=rearmed)
        return hurried + rearmed
