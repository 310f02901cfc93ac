"""A cabinet on a real database, and a second one beside it, as another replica has it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from services.store.folders.cabinet import Cabinet
from services.store.mailbox import Mailbox
from services.store.summaries import Summaries
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.letter import Mode
from shared.mailbox import indexes
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.letters import Letter, Letters
from shared.mailbox.marks import Marks
from shared.mailbox.users import Target, User, Users
from shared.settings import Store
from tests.kit.letters import NOW, TARGET, Room, a_letter
from tests.kit.scope import Scope

ANN = "ann@example.test"


@dataclass(frozen=True, slots=True)
class Office:
    """Cabinets over one database."""

    room: Room
    cabinet: Cabinet
    other: Cabinet
    scope: Scope

    async def arrive(self, count: int = 1, *, raw: bytes = b"Subject: x\r\n\r\nhi\r\n", **fields: Any) -> list[str]:
        """Letters that came by mail; returns their ids, in order of arrival."""
        letters = [a_letter(ANN, size=len(raw), **fields) for _ in range(count)]
        origin = {letter["receipt_id"]: (0, letter["offset"]) for letter in letters}
        bodies = [(letter["receipt_id"], raw, [letter["_id"]]) for letter in letters]
        await self.room.bodies.insert(bodies, origin=origin)
        await self.room.letters.insert(letters)
        return sorted(letter["_id"] for letter in letters)

    async def letter(self, letter_id: str) -> Letter:
        found = await self.room.letters.get(letter_id)
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def opened_office(scope: Scope) -> AsyncIterator[Office]:
    """One that Ann has a mailbox in, for the length of a block. Nothing is told on the bus."""
    database, replicas = scope.connect(), scope.connect()
    await indexes.create(database)
    await Users(database).add(
        User(
            address=ANN,
            mode=Mode.STORE_AND_FORWARD,
            created_at=NOW,
            target_address="a@main.test",
            target=Target(TARGET, "main.example.test", 25),
        )
    )
    yield Office(Room(database), cabinet_of(database, scope), cabinet_of(replicas, scope), scope)
    database.client.close()
    replicas.client.close()


def cabinet_of(database: Database, scope: Scope) -> Cabinet:
    """As one process has it."""
    settings = scope.settings(Store)
    clock = Clock(database, settings)
    announcer = Announcer(Letters(database), Marks(database), Producer(settings, "test"), clock)
    return Cabinet(
        database, clock, settings, announcer, Mailbox(database, clock, settings, announcer, Summaries(database))
    )
