"""An intake on real servers, to which records are handed as the consumer would."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from ulid import ULID

from services.store.intake import Intake, Receipt
from shared.bus.producer import Producer
from shared.events import Received
from shared.letter import Mode
from shared.mailbox import indexes
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.letters import Letters
from shared.mailbox.positions import Positions
from shared.mailbox.users import Target, User, Users
from shared.moments import rfc3339, utc_now
from shared.settings import Store
from tests.kit.letters import Room
from tests.kit.patience import until
from tests.kit.scope import Scope

ANN, BEN = "ann@example.test", "ben@example.test"


@dataclass(frozen=True, slots=True)
class Desk:
    """Intake, and what it writes to."""

    intake: Intake
    room: Room
    scope: Scope
    settings: Store
    clock: Clock
    users: Users


@pytest.fixture
async def desk(scope: Scope) -> AsyncIterator[Desk]:
    settings = scope.settings(Store)
    room = Room(scope.connect())
    await indexes.create(room.database)
    producer, clock = Producer(settings, "test"), Clock(room.database, settings)
    await producer.start()
    await until(lambda: _connected(producer), within=20, pause=0.02)
    users = Users(room.database)
    await users.add(_user(ANN))
    intake = Intake(users, Letters(room.database), Bodies(room.database), Positions(room.database), producer, clock)
    yield Desk(intake, room, scope, settings, clock, users)
    await producer.stop()
    room.database.client.close()


def _user(address: str) -> User:
    target = Target("main.test:25", "main.test", 25)
    made = datetime(2026, 3, 1, tzinfo=UTC)
    return User(
        address=address, mode=Mode.STORE_AND_FORWARD, created_at=made, target_address="a@main.test", target=target
    )


def receipt(
    *recipients: str, partition: int = 0, offset: int = 0, raw: bytes = b"Received: x\r\n\r\nhi\r\n"
) -> Receipt:
    """A record of `received` as decoded."""
    name, now = str(ULID()), rfc3339(utc_now())
    told = Received(
        event_id=f"{name}.received",
        at=now,
        receipt_id=name,
        received_at=now,
        sender="bob@x.test",
        recipients=list(recipients or (ANN,)),
        client={},
        size=len(raw),
        spam=None,
    )
    return Receipt(partition, offset, raw, told)


async def _connected(producer: Producer) -> bool:
    return producer.connected
