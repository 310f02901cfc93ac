"""The API over a real socket, on a real database and a real broker."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.ports import NO_CERTIFICATES
from services.store.web.app import build
from services.store.web.parts import Parts, opened
from shared import ops
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.letter import letter_id
from shared.mailbox import indexes
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.letters import INBOX, Letter, Letters, new_letter
from shared.mailbox.marks import Marks
from shared.settings import Store
from tests.kit.scope import Scope

TOKEN = "token-of-the-test"
ADMIN_PASSWORD = "admin's own"
DESTINATION = "main.test:25"

_receipts, _users = itertools.count(1), itertools.count(1)


@dataclass
class Door:
    """A running API, and the database behind it."""

    base_url: str
    scope: Scope
    settings: Store
    database: Database
    clock: Clock
    producer: Producer
    admin: httpx.AsyncClient
    parts: Parts
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, **more: Any) -> httpx.AsyncClient:
        """One who is not let in yet."""
        client = httpx.AsyncClient(
            base_url=f"{self.base_url}/api/v1", timeout=30, trust_env=False, verify=NO_CERTIFICATES, **more
        )
        self.clients.append(client)
        return client

    def user(self, address: str, password: str = "correct horse") -> httpx.AsyncClient:
        return self.client(auth=(address, password))

    async def add_user(self, address: str = "ann@example.test", **more: Any) -> dict[str, Any]:
        fields: dict[str, Any] = {"address": address, "password": "correct horse"}
        if more.get("mode") != "store_only":
            fields |= {"target_address": "ann@main.test", "target_server": "main.test"}
        answer = await self.admin.post("/users", json=fields | more)
        assert answer.status_code == 201, answer.text
        user: dict[str, Any] = answer.json()
        return user

    async def add_letter(
        self,
        address: str = "ann@example.test",
        raw: bytes = b"Subject: hello\r\n\r\nbody\r\n",
        *,
        folder: str | None = INBOX,
        destination: str | None = DESTINATION,
        change: dict[str, Any] | None = None,
    ) -> str:
        """Put a letter into a mailbox as intake does; `change` is written over its forward. Returns its id."""
        now = self.clock.now()
        number = next(_receipts)
        receipt = f"01TEST{number:020d}"
        letter: Letter = new_letter(
            letter_id=letter_id(receipt, address),
            receipt_id=receipt,
            address=address,
            partition=number % self.settings.partitions,
            offset=number,
            folder=folder,
            mode="store_and_forward" if folder else "forward_only",
            destination=destination,
            size=len(raw),
            received_at=now,
            sender="sender@elsewhere.test",
            spam=None,
            now=now,
            due=now + timedelta(seconds=10),
        )
        letter["forward"] |= change or {}
        await Bodies(self.database).insert([(receipt, raw, [letter["_id"]])], origin={receipt: (0, number)})
        await Letters(self.database).insert([letter])
        return str(letter["_id"])


def store_settings(scope: Scope, folder: Path, **more: Any) -> Store:
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "password").write_text(ADMIN_PASSWORD + "\n")
    fields: dict[str, Any] = {
        "admin_token_file": folder / "token",
        "admin_password_file": folder / "password",
        "secret_key": "a key that is long enough",
        "own_listeners": "127.0.0.1:2525",
    }
    return scope.settings(Store, **fields | more)


@contextlib.asynccontextmanager
async def opened_door(scope: Scope, settings: Store) -> AsyncIterator[Door]:
    """A running API as the store runs it, without the store's other parts."""
    database, stop = scope.connect(), asyncio.Event()
    await indexes.create(database)
    clock, producer = Clock(database, settings), Producer(settings, "store")
    announcer = Announcer(Letters(database), Marks(database), producer, clock, sweeps=True)
    await clock.read()
    await producer.start()
    telling = asyncio.ensure_future(announcer.run(stop))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with opened(settings, database, clock, announcer, stop) as parts:
        async with ops.serve_http(build(parts), "127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}"
            admin = httpx.AsyncClient(
                base_url=f"{url}/api/v1", headers=headers, timeout=30, trust_env=False, verify=NO_CERTIFICATES
            )
            door = Door(url, scope, settings, database, clock, producer, admin, parts, [admin])
            try:
                yield door
            finally:
                stop.set()
                for client in door.clients:
                    await client.aclose()
    await telling
    await producer.stop()
    database.client.close()


@pytest.fixture(scope="module")
async def door(kafka_bootstrap: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One for a file's tests, which keep apart by their addresses: topics take longer to make than a test to run."""
    scope = Scope.new(kafka_bootstrap, mongodb_url)
    await scope.make_topics()
    async with opened_door(scope, store_settings(scope, tmp_path_factory.mktemp("store"))) as door:
        yield door
    await scope.drop()


@pytest.fixture
async def ann(door: Door) -> str:
    """The address of a user made for this test."""
    address = f"ann{next(_users)}@example.test"
    await door.add_user(address)
    return address
