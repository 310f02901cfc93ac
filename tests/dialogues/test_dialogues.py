"""Plays every dialogue of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.letter import Mode
from shared.mailbox.users import User, Users
from shared.moments import utc_now
from shared.settings import Common, Ingest
from tests.dialogues import script
from tests.dialogues.certificate import self_signed
from tests.dialogues.stage import Player, served
from tests.dialogues.talk import Talk
from tests.kit.scope import Scope

FOLDER = Path(__file__).parent
USERS = ("ann@example.test", "bob@example.test", "bob+tag@example.test", "jürgen@example.test")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
async def small_scope(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Scope]:
    """A corner with few partitions: it is made and taken away in a moment."""
    corner = Scope.new(kafka_bootstrap, mongodb_url).with_partitions(2)
    await corner.make_topics()
    yield corner
    await corner.drop()


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
async def test_dialogue(file: Path, small_scope: Scope, certificate: Path) -> None:
    dialogue = script.read(file)
    database = small_scope.connect()
    users = Users(database)
    for address in USERS:
        await users.add(User(address=address, mode=Mode.STORE_ONLY, created_at=utc_now()))
    overrides = {"smtp_port": 0, "tls_cert_file": certificate, **dialogue.settings}
    waits = not {"kafka_bootstrap", "mongodb_url"} & set(dialogue.settings)
    async with served(small_scope.settings(Ingest, **overrides), waits_for_servers=waits) as (service, port):
        await Player(service, small_scope.settings(Common), Talk(port)).play(dialogue)
    database.client.close()
