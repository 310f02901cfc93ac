"""An IMAP door in front of an office, composed as the store composes it, on real sockets and a real database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import free_port
from services.store import doors
from services.store.user import UserChange
from services.store.web import parts
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.mailbox import connect
from shared.mailbox.clock import Clock
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.settings import Store
from tests.dialogues.certificate import self_signed
from tests.kit.imapwire import Answer, Wire
from tests.kit.office import ANN, Office, opened_office
from tests.kit.scope import Scope

PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Counter:
    """Where Ann reads her letters."""

    office: Office
    port: int
    tls_port: int
    parts: parts.Parts

    async def ann(self, select: str | None = "INBOX") -> Wire:
        """A connection of Ann's, logged in, with a folder selected."""
        wire = await Wire.open(self.port)
        answer = await wire.login(ANN, PASSWORD)
        assert answer.status == "OK", answer
        if select is not None:
            assert (await wire.command(f'SELECT "{select}"')).status == "OK"
        return wire


Opening = Callable[..., contextlib.AbstractAsyncContextManager[Counter]]


async def ok(wire: Wire, command: bytes | str) -> Answer:
    """What an answer of OK says."""
    answer = await wire.command(command)
    assert answer.status == "OK", (command, answer)
    return answer


@pytest.fixture
async def scope_of_mongodb(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Scope]:
    """A database for one test. Nothing here is told on the bus, so there are no topics."""
    scope = Scope.new(kafka_bootstrap, mongodb_url)
    yield scope
    database = scope.connect()
    await connect.drop(database)
    database.client.close()


@pytest.fixture
def opening(scope_of_mongodb: Scope, tmp_path: Path) -> Opening:
    """Opens a counter with settings."""

    @contextlib.asynccontextmanager
    async def opened(**more: Any) -> AsyncIterator[Counter]:
        ports = {name: free_port() for name in ("imap_port", "imaps_port", "pop3_port", "pop3s_port")}
        settings = scope_of_mongodb.settings(
            Store,
            secret_key="a key that is long enough",
            tls_cert_file=self_signed(tmp_path / "door.pem"),
            **ports,
            **more,
        )
        async with opened_office(scope_of_mongodb) as office, contextlib.AsyncExitStack() as stack:
            database, stop = office.room.database, asyncio.Event()
            clock = Clock(database, settings)
            announcer = Announcer(Letters(database), Marks(database), Producer(settings, "test"), clock)
            found = await stack.enter_async_context(parts.opened(settings, database, clock, announcer, stop))
            await found.accounts.change(ANN, UserChange(password=PASSWORD))
            await stack.enter_async_context(doors.opened(settings, database, clock, announcer, found))
            yield Counter(office, ports["imap_port"], ports["imaps_port"], found)
            stop.set()

    return opened


@pytest.fixture
async def counter(opening: Opening) -> AsyncIterator[Counter]:
    """One with the settings of production."""
    async with opening() as counter:
        yield counter
