"""A POP3 door in front of an office, on real sockets and a real database."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from services.store.accounts import Accounts
from services.store.door.admission import Admission
from services.store.door.listener import Door
from services.store.door.logins import Logins
from services.store.mailbox import Mailbox
from services.store.passwords import Passwords
from services.store.pop3.session import TOO_MANY, Pop3
from services.store.summaries import Summaries
from services.store.user import UserChange
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.certificate import Certificate
from shared.mailbox import connect
from shared.mailbox.clock import Clock
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.mailbox.tries import Tries
from shared.mailbox.users import Users
from shared.settings import Store
from tests.dialogues.certificate import self_signed
from tests.kit.office import ANN, Office, cabinet_of, opened_office
from tests.kit.popwire import PopWire
from tests.kit.scope import Scope

PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Counter:
    """Where Ann fetches her letters. `accounts` changes users."""

    office: Office
    door: Door
    accounts: Accounts
    wires: list[PopWire] = field(default_factory=list)

    async def stranger(self) -> PopWire:
        """A connection that nobody has logged in on."""
        wire = await PopWire.open(self.door.port)
        self.wires.append(wire)
        return wire

    async def ann(self) -> PopWire:
        """A connection of Ann's, logged in."""
        wire = await self.stranger()
        assert (await wire.command(b"USER " + ANN.encode())).is_ok
        reply = await wire.command(b"PASS " + PASSWORD.encode())
        assert reply.is_ok, reply
        return wire


Opening = Callable[..., contextlib.AbstractAsyncContextManager[Counter]]


@pytest.fixture
async def scope_of_mongodb(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Scope]:
    """A database for one test. Nothing here is told on the bus, so there are no topics."""
    scope = Scope.new(kafka_bootstrap, mongodb_url)
    yield scope
    database = scope.connect()
    await connect.drop(database)
    database.client.close()


@pytest.fixture
async def office(scope_of_mongodb: Scope) -> AsyncIterator[Office]:
    async with opened_office(scope_of_mongodb) as office:
        yield office


@pytest.fixture
def opening(office: Office, tmp_path: Path) -> Opening:
    """Opens a counter with settings; by `mongodb_url` it may look for the database elsewhere than the office."""

    @contextlib.asynccontextmanager
    async def opened(mongodb_url: str = office.scope.mongodb_url, **more: Any) -> AsyncIterator[Counter]:
        scope = replace(office.scope, mongodb_url=mongodb_url)
        settings = scope.settings(Store, secret_key="a key that is long enough", **more)
        database, passwords = scope.connect(), Passwords()
        clock = Clock(database, settings)
        announcer = Announcer(Letters(database), Marks(database), Producer(settings, "test"), clock)
        mailbox = Mailbox(database, clock, settings, announcer, Summaries(database))
        accounts = Accounts(database, clock, settings, announcer, mailbox, passwords)
        await accounts.change(ANN, UserChange(password=PASSWORD))
        logins = Logins(accounts, Tries(database, settings.login_tries_per_minute), clock, settings)
        pop3 = Pop3(cabinet_of(database, scope), logins, Users(database), settings)
        door = Door(
            "pop3",
            settings,
            pop3.serve,
            port=0,
            tls_port=0,
            admission=Admission(settings),
            certificate=Certificate(self_signed(tmp_path / "door.pem"), None),
            too_many=TOO_MANY,
        )
        async with door:
            counter = Counter(office, door, accounts)
            yield counter
            for wire in counter.wires:
                wire.close()
        passwords.close()
        database.client.close()

    return opened


@pytest.fixture
async def counter(opening: Opening) -> AsyncIterator[Counter]:
    """One with the settings of production."""
    async with opening() as counter:
        yield counter
