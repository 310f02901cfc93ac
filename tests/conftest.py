"""The real servers, started once for a run, and a corner of them for each test."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop

from shared.settings import PREFIX
from tests.kit.scope import Scope
from tests.kit.servers import Servers, servers


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    """What whoever runs the tests has set must not change what they test. The cache of fetched things may be set."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name != PREFIX + "CACHE"]:
        del os.environ[name]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the services run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Servers]:
    """Kafka and mongod for the whole run. Never stop or freeze these: a test that must has servers of its own."""
    with servers() as pair:
        yield pair


@pytest.fixture(scope="session")
def kafka_bootstrap(shared_servers: Servers) -> str:
    return shared_servers.kafka.bootstrap


@pytest.fixture(scope="session")
def mongodb_url(shared_servers: Servers) -> str:
    return shared_servers.mongod.url


@pytest.fixture
async def scope(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Scope]:
    """Topics and a database that belong to this test."""
    corner = Scope.new(kafka_bootstrap, mongodb_url)
    await corner.make_topics()
    yield corner
    await corner.drop()
