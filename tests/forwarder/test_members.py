"""What each of several forwarders holds: the numbers of `stored`, of `deleted` and of the backlog are the same (design
rule 15). The forwarders are put together as in their process, but nobody beats their lease: they only plan.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest
from pydantic import SecretStr

from services.forwarder.__main__ import Assembly, assemble
from shared.bus.producer import Producer
from shared.mailbox import indexes
from shared.mailbox.clock import Clock
from shared.mailbox.users import Target, Users
from shared.settings import Forwarder
from tests.forwarder.test_load import ANN
from tests.kit.letters import TARGET, Room, a_letter
from tests.kit.mainserver import MainServer, Pause
from tests.kit.patience import until
from tests.kit.scope import Scope

HOUR = 3600.0
ALL = list(range(12))


@dataclass(slots=True)
class Member:
    """A forwarder that plans and never claims."""

    parts: Assembly
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: "asyncio.Future[list[None]] | None" = None

    def start(self) -> None:
        self._running = asyncio.gather(*(part(self.stop) for part in self.parts.beside))

    async def end(self) -> None:
        self.stop.set()
        await self.parts.dispatch.stop()
        if self._running is not None:
            await asyncio.wait_for(self._running, 20)

    def followed(self, topic: str) -> list[int]:
        places = self.parts.consumer._kafka.assignment()
        return sorted(place.partition for place in places if place.topic.endswith(f".{topic}"))

    @property
    def looked_through(self) -> list[int]:
        """The partitions of the letters that were found in the backlog; each holds one."""
        plan = self.parts.dispatch._desk.plan
        planned = plan.take(TARGET, len(ALL), 1_000_000)
        for letter in planned:
            plan.add(TARGET, letter, waited=True)
        return sorted(letter.partition for letter in planned)


@pytest.fixture
async def room(scope: Scope) -> AsyncIterator[Room]:
    room = Room(scope.connect())
    await indexes.create(room.database)
    yield room
    room.database.client.close()


@pytest.fixture
async def join(scope: Scope, room: Room) -> AsyncIterator[Callable[[], Member]]:
    """One forwarder more. Each looks at the backlog when its partitions come, and then for an hour no more."""
    settings = scope.settings(Forwarder, backlog_seconds=HOUR, secret_key=SecretStr("0" * 64))
    producer, members = Producer(settings, "forwarder"), list[Member]()
    await producer.start()

    def joined() -> Member:
        members.append(Member(assemble(settings, room.database, producer, Clock(room.database, settings))))
        members[-1].start()
        return members[-1]

    yield joined
    await asyncio.gather(*(member.end() for member in members))
    await producer.stop()


async def test_15_of_1_to_12_members_each_holds_the_same_numbers_of_both_topics_and_of_the_backlog(
    room: Room, join: Callable[[], Member]
) -> None:
    await room.put(*(a_letter(partition=number) for number in ALL))
    members: list[Member] = []

    async def all_found() -> bool:
        found = [member.looked_through for member in members]
        return all(found) and sorted(itertools.chain(*found)) == ALL

    for count in range(1, len(ALL) + 1):
        members.append(join())
        await until(all_found, within=60, what=f"every letter in one plan, and {count} plans with letters")
        for member in members:
            assert member.followed("stored") == member.followed("deleted") == member.looked_through


async def test_15_a_member_whose_partitions_come_back_sends_on_all_its_connections_again(
    room: Room, join: Callable[[], Member]
) -> None:
    """Though what is on its shelves is enough, and it claims nothing more."""
    async with MainServer() as main:
        main.temper = proving = Pause("KEPT")
        target = Target(main.name, "127.0.0.1", main.port)
        await Users(room.database).add(replace(ANN, target=target, pass_client="none"))
        await room.put(*(a_letter(partition=number % 12, destination=main.name) for number in range(60)))
        member = join()
        await member.parts.lease.register()
        await asyncio.wait_for(proving.reached.wait(), 20)
        main.temper = begun = Pause("KEPT")
        proving.go_on.set()
        await until(lambda: _sessions_are(main, 20), what="all connections")
        held = frozenset(ALL)
        await member.parts.consumer._listener._revoked(held)
        main.temper = later = Pause("KEPT")
        begun.go_on.set()
        await until(lambda: _sessions_are(main, 1), what="one connection, to end what it has")
        await member.parts.consumer._assigned(held)
        await until(lambda: _sessions_are(main, 20), what="all connections again")
        later.go_on.set()
        await main.has_taken(60)


async def _sessions_are(main: MainServer, number: int) -> bool:
    return main.open_sessions == number
