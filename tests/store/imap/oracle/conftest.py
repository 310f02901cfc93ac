"""Our store and Dovecot, for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.kit.dovecot import dovecot
from tests.kit.mailserver import MailServer, of_dovecot, of_system
from tests.kit.scope import Scope
from tests.kit.system import System, running

# The scripts give wrong passwords on purpose.
TRIES = 10_000


@pytest.fixture(scope="package")
def theirs() -> Iterator[MailServer]:
    with dovecot() as server:
        yield of_dovecot(server)


@pytest.fixture(scope="package")
async def own_system(
    kafka_bootstrap: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """What takes letters in and shows them; nobody forwards."""
    corner = Scope.new(kafka_bootstrap, mongodb_url)
    await corner.make_topics()
    folder = tmp_path_factory.mktemp("system")
    async with running(corner, folder, "store", "ingest", login_tries_per_minute=TRIES) as system:
        yield system
    await corner.drop()


@pytest.fixture(scope="package")
def ours(own_system: System) -> MailServer:
    return of_system(own_system)
