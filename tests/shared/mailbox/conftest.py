"""A database of its own for each test, with the product's indexes; its invariants are looked at afterwards."""

from collections.abc import AsyncIterator

import pytest

from shared.mailbox import connect, indexes
from tests.kit import invariants
from tests.kit.letters import Room
from tests.kit.scope import Scope


@pytest.fixture
async def room(mongodb_url: str) -> AsyncIterator[Room]:
    database = Scope.new("", mongodb_url).connect()
    await indexes.create(database)
    room = Room(database)
    yield room
    faults = await invariants.faults(database, is_idle=False)
    await connect.drop(database)
    database.client.close()
    assert not faults
