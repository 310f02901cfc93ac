"""The product, running, on a corner of the shared servers or on servers of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.kit.scope import Scope
from tests.kit.servers import Servers, servers
from tests.kit.system import System, running

Run = Callable[..., AbstractAsyncContextManager[System]]


@pytest.fixture
def run(scope: Scope, tmp_path: Path) -> Run:
    """`async with run(setting=value) as system`: the product with settings of the test's own."""
    return partial(running, scope, tmp_path)


@pytest.fixture(scope="module")
async def module_system(
    kafka_bootstrap: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One product for the tests of a file that harm none of its parts: starting four processes takes seconds."""
    corner = Scope.new(kafka_bootstrap, mongodb_url)
    await corner.make_topics()
    async with running(corner, tmp_path_factory.mktemp("system")) as system:
        await system.add_user("ann@example.test")
        yield system
    await corner.drop()


@pytest.fixture
async def system(module_system: System) -> AsyncIterator[System]:
    """The product as it comes, with user ann, a plain main server and an empty ledger."""
    module_system.begin()
    await module_system.main.come_back()
    yield module_system
    module_system.tell()


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Kafka and mongod for the tests of one file, which may stop, kill and freeze them."""
    with servers() as pair:
        yield pair


@pytest.fixture
async def own_scope(own_servers: Servers) -> AsyncIterator[Scope]:
    corner = Scope.new(own_servers.kafka.bootstrap, own_servers.mongod.url)
    await corner.make_topics()
    yield corner
    await corner.drop()


@pytest.fixture
def run_on_own(own_scope: Scope, tmp_path: Path) -> Run:
    """As `run`, on servers that the test may harm."""
    return partial(running, own_scope, tmp_path)
