"""Who takes mail is known through an outage and a restart, and a no is the database's own word."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.ingest.recipients import Recipients, RecipientsUnavailable
from shared.letter import Mode
from shared.mailbox.connect import connect
from shared.mailbox.users import User, Users
from shared.moments import utc_now
from shared.settings import Ingest
from tests.kit.patience import until
from tests.kit.scope import Scope

DEAD = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"


def user(address: str) -> User:
    return User(address=address, mode=Mode.STORE_ONLY, created_at=utc_now())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "recipients"


@pytest.fixture
async def users(scope: Scope) -> AsyncIterator[Users]:
    database = scope.connect()
    yield Users(database)
    database.client.close()


@pytest.fixture
def users_away(scope: Scope) -> Users:
    return Users(connect(scope.settings(Ingest, mongodb_url=DEAD)))


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)


def written(file: Path) -> dict[str, bytes]:
    """Every file beside `file`: nothing half-written stays."""
    return {entry.name: entry.read_bytes() for entry in file.parent.iterdir()}


@contextlib.asynccontextmanager
async def running(recipients: Recipients) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(recipients.follow()), asyncio.create_task(recipients.keep())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def known(recipients: Recipients, address: str) -> bool:
    return address in recipients


async def unknown(recipients: Recipients, address: str) -> bool:
    return address not in recipients


async def test_changes_of_users_are_followed(users: Users, file: Path) -> None:
    await users.add(user("ann@example.test"))
    recipients = Recipients(users, file)
    assert not recipients.is_usable
    async with running(recipients):
        await until(lambda: known(recipients, "ann@example.test"))
        await users.add(user("bob@example.test"))
        await until(lambda: known(recipients, "bob@example.test"))
        await users.remove("ann@example.test")
        await until(lambda: unknown(recipients, "ann@example.test"))
    assert written(file) == {file.name: b"bob@example.test\n"}


async def test_a_user_who_just_came_is_found_by_asking(users: Users) -> None:
    recipients = Recipients(users, None)
    await users.add(user("ann@example.test"))
    answers = await asyncio.gather(
        recipients.ask(["ann@example.test"]),
        recipients.ask(["ann+x@example.test", "ann@example.test"]),
        *(recipients.ask([f"nobody{number}@example.test"]) for number in range(200)),
    )
    assert answers[:2] == [{"ann@example.test"}, {"ann@example.test"}]
    assert not any(answers[2:])


async def test_the_file_serves_where_the_database_is_away(users_away: Users, file: Path) -> None:
    write(file, b"ann@example.test\nbob@example.test\n")
    recipients = Recipients(users_away, file)
    async with running(recipients):
        await asyncio.sleep(0.7)
        assert "ann@example.test" in recipients
        assert recipients.is_usable
    assert written(file) == {file.name: b"ann@example.test\nbob@example.test\n"}


async def test_nobody_is_unknown_while_the_database_is_away(users_away: Users) -> None:
    recipients = Recipients(users_away, None)
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(recipients.ask([f"x{n}@example.test"]) for n in range(50)), return_exceptions=True)
    assert all(isinstance(answer, RecipientsUnavailable) for answer in answers)
    assert asyncio.get_running_loop().time() - began < 5
    with pytest.raises(RecipientsUnavailable):
        await recipients.ask(["ann@example.test"])


@pytest.mark.parametrize("content", [b"\xff\xfe", b""])
async def test_a_spoilt_file_is_no_reason_not_to_start(users_away: Users, file: Path, content: bytes) -> None:
    write(file, content)
    assert not Recipients(users_away, file).is_usable
