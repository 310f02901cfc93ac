"""A database of its own for each test that needs one."""

from collections.abc import AsyncIterator

import pytest

from shared.mailbox import connect, indexes
from tests.kit.letters import Room
from tests.kit.scope import Scope


@pytest.fixture
async def room(mongodb_url: str) -> AsyncIterator[Room]:
    room = Room(Scope.new("", mongodb_url).connect())
    await indexes.create(room.database)
    yield room
    await connect.drop(room.database)
    room.database.client.close()
