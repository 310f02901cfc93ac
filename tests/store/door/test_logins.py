"""Who is let in, what those are told who are not, and how fast one may try."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from services.store import passwords
from services.store.door import logins as module
from services.store.door import metrics
from services.store.door.connection import Connection
from services.store.door.logins import TOO_MANY_SESSIONS, UNAVAILABLE, WRONG, DoorName, Logins, Refusal
from services.store.mailbox import Person
from services.store.user import UserChange
from shared.mailbox.connect import connect
from shared.mailbox.tries import Tries
from shared.settings import Store
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.store.door.conftest import Client, Entrance, Opening
from tests.store.door.lobby import ADMIN_PASSWORD, ANN, PASSWORD, TRIES, Lobby, opened_lobby

HOME, STRANGER = "198.51.100.7", "192.0.2.66"


@pytest.fixture
async def lobby(
    kafka_bootstrap: str, mongodb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Lobby]:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)
    async with opened_lobby(Scope.new(kafka_bootstrap, mongodb_url), tmp_path, connections_per_user=3) as lobby:
        yield lobby


async def test_who_knows_the_password_is_let_in(lobby: Lobby) -> None:
    for name in (ANN, ANN.upper()):
        assert await lobby.logins.let_in(name, PASSWORD, HOME, "imap") == Person(ANN, is_administrator=False)


async def test_administrators_come_in_by_http_only(lobby: Lobby) -> None:
    doors: tuple[DoorName, ...] = ("imap", "pop3")
    for door in doors:
        assert await lobby.logins.let_in("admin", ADMIN_PASSWORD, HOME, door) is WRONG
    found = await lobby.logins.let_in("admin", ADMIN_PASSWORD, HOME, "http")
    assert isinstance(found, Person)
    assert found.is_administrator
    # Also when they have just been there.
    assert await lobby.logins.let_in("admin", ADMIN_PASSWORD, HOME, "imap") is WRONG


async def test_what_is_wrong_cannot_be_told_from_the_answer_or_from_what_is_done_for_it(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("off@example.test", "leaving@example.test"):
        await lobby.add(address)
    await lobby.accounts.change("off@example.test", UserChange(enabled=False))
    await lobby.database["users"].update_one({"_id": "leaving@example.test"}, {"$set": {"leaving": True}})
    compared: list[str] = []
    monkeypatch.setattr(passwords, "_holds", _counting(compared))
    steps = set()
    for name, password in (
        ("nobody@example.test", "wrong"),
        (ANN, "wrong"),
        ("off@example.test", PASSWORD),
        ("leaving@example.test", PASSWORD),
        ("admin", ADMIN_PASSWORD),
        ("admin", "wrong"),
    ):
        compared.clear()
        answer, asked = await _profiled(lobby, name, password)
        assert answer is WRONG, name
        steps.add((len(compared), *asked))
    assert steps == {(1, "query tries", "command tries", "query users", "command tries")}


async def test_after_so_many_wrong_passwords_the_right_one_has_to_wait_too(lobby: Lobby) -> None:
    for number in range(TRIES):
        assert await lobby.logins.let_in(ANN, f"wrong {number}", f"192.0.2.{number}", "imap") is WRONG
    refused = await lobby.logins.let_in(ANN, PASSWORD, HOME, "imap")
    assert isinstance(refused, Refusal)
    assert (refused.code, 50 < refused.wait_seconds <= 60) == ("LIMIT", True)
    same = await lobby.logins.let_in("nobody@example.test", PASSWORD, HOME, "imap")
    assert same is WRONG


async def test_nobodys_account_waits_as_anybodys(lobby: Lobby) -> None:
    texts = set()
    for name in (ANN, "nobody@example.test"):
        for number in range(TRIES + 1):
            refused = await lobby.logins.let_in(name, f"wrong {number}", f"192.0.2.{number}", "imap")
        assert isinstance(refused, Refusal)
        texts.add((refused.code, refused.text))
    assert len(texts) == 1


async def test_replicas_and_doors_count_together(lobby: Lobby) -> None:
    other = lobby.another()
    for number in range(TRIES // 2):
        await lobby.logins.let_in(ANN, f"wrong {number}", STRANGER, "imap")
        await other.let_in(ANN, f"also wrong {number}", STRANGER, "http")
    for logins in (lobby.logins, other):
        assert _code(await logins.let_in(ANN, PASSWORD, "192.0.2.1", "pop3")) == "LIMIT"


async def test_guessing_locks_nobody_out_of_where_he_is_known(lobby: Lobby) -> None:
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, HOME, "imap")) is None
    for number in range(3 * TRIES):
        await lobby.logins.let_in(ANN, f"wrong {number}", STRANGER, "imap")
    for logins in (lobby.logins, lobby.another()):
        assert _code(await logins.let_in(ANN, PASSWORD, HOME, "imap")) is None
        assert _code(await logins.let_in(ANN, PASSWORD, STRANGER, "imap")) == "LIMIT"


async def test_loopback_is_exempt_by_the_address_and_not_by_the_account(lobby: Lobby) -> None:
    for number in range(3 * TRIES):
        assert await lobby.logins.let_in(f"user{number}@example.test", "wrong", "127.0.0.1", "imap") is WRONG
    for number in range(TRIES):
        assert await lobby.logins.let_in(ANN, f"wrong {number}", "127.0.0.1", "imap") is WRONG
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, "::1", "imap")) == "LIMIT"


async def test_all_addresses_of_one_ipv6_network_count_as_one(lobby: Lobby) -> None:
    for number in range(TRIES):
        await lobby.logins.let_in(f"user{number}@example.test", "wrong", f"2001:db8::{number:x}", "imap")
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, "2001:db8::ffff", "imap")) == "LIMIT"
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, "2001:db8:0:1::1", "imap")) is None


async def test_a_program_that_opens_many_connections_at_once_is_let_in_with_all(lobby: Lobby) -> None:
    found = await asyncio.gather(*(lobby.logins.let_in(ANN, PASSWORD, HOME, "imap") for _ in range(5 * TRIES)))
    assert {_code(one) for one in found} == {None}


async def test_of_many_guesses_at_once_no_more_are_looked_at_than_are_free(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    monkeypatch.setattr(passwords, "_holds", _counting(compared))
    guesses = (lobby.logins.let_in(ANN, f"wrong {number}", f"192.0.2.{number}", "imap") for number in range(30))
    codes = [_code(one) for one in await asyncio.gather(*guesses)]
    assert (codes.count("AUTHENTICATIONFAILED"), codes.count("LIMIT")) == (TRIES, 30 - TRIES)
    assert len(compared) == TRIES


async def test_a_password_that_was_right_a_moment_ago_is_not_counted_and_no_way_to_guess(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3 * TRIES):
        assert _code(await lobby.logins.let_in(ANN, PASSWORD, HOME, "http")) is None
    for number in range(TRIES):
        assert await lobby.logins.let_in(ANN, f"wrong {number}", HOME, "http") is WRONG
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, HOME, "http")) == "LIMIT"


async def test_a_user_who_is_disabled_is_not_let_in_by_what_is_remembered(lobby: Lobby) -> None:
    assert _code(await lobby.logins.let_in(ANN, PASSWORD, HOME, "imap")) is None
    await lobby.accounts.change(ANN, UserChange(enabled=False))
    assert await lobby.logins.let_in(ANN, PASSWORD, HOME, "imap") is WRONG


def test_each_wrong_password_is_answered_later_than_the_last_within_reason() -> None:
    pauses = [module.pause_seconds(number) for number in range(1, 2000)]
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert set(pauses[5:]) == {2.0}


@pytest.mark.parametrize(
    "name", ["", "\0", "a\0b@example.test", "\udcff@example.test", "x" * 100_000, "$where", "admin\0", f"{ANN}\n"]
)
async def test_any_name_is_answered(lobby: Lobby, name: str) -> None:
    for password in ("", "\0", "\udcff", "x" * 10_000):
        assert _code(await lobby.logins.let_in(name, password, HOME, "imap")) == "AUTHENTICATIONFAILED"


async def test_failures_are_told_with_where_they_came_from_and_never_with_a_password(lobby: Lobby) -> None:
    before = metrics.LOGINS_FAILED._value.get()
    with structlog.testing.capture_logs() as lines:
        await lobby.logins.let_in(ANN, "s3cret guess", STRANGER, "imap")
        await lobby.logins.let_in("s3cret in the wrong field", "x", STRANGER, "pop3")
        for _ in range(3):
            await lobby.logins.let_in(ANN, PASSWORD, HOME, "http")
    told = [(line["event"], line["door"], line["client"], line["account"]) for line in lines]
    assert told == [
        ("login_failed", "imap", STRANGER, ANN),
        ("login_failed", "pop3", STRANGER, None),
        # Not at each call of a minute.
        ("logged_in", "http", HOME, ANN),
    ]
    assert "s3cret" not in repr(lines)
    assert PASSWORD not in repr(lines)
    assert "argon2" not in repr(lines)
    assert metrics.LOGINS_FAILED._value.get() == before + 2


# Sessions


async def test_a_user_has_so_many_sessions_and_another_when_one_is_gone(lobby: Lobby, opening: Opening) -> None:
    async with opening(serve=_letting_in(lobby.logins)) as entrance:
        with structlog.testing.capture_logs() as lines:
            clients = [await _logged_in(entrance) for _ in range(3)]
        assert [(line["event"], line["client"]) for line in lines] == [("logged_in", "127.0.0.1")] * 3
        fourth = await entrance.client()
        assert await fourth.ask(PASSWORD.encode()) == b"LIMIT " + TOO_MANY_SESSIONS.text.encode()
        # It is told to nobody who does not know the password.
        assert (await fourth.ask(b"wrong")).startswith(b"AUTHENTICATIONFAILED")
        clients[0].writer.close()
        await until(lambda: _is_let_in(fourth))


async def test_sessions_end_of_a_user_who_may_not_enter_any_more(lobby: Lobby, opening: Opening) -> None:
    async with opening(serve=_letting_in(lobby.logins)) as entrance:
        client = await _logged_in(entrance)
        await lobby.logins.part_from_strangers()
        assert not client.reader.at_eof()
        await lobby.accounts.change(ANN, UserChange(enabled=False))
        await lobby.logins.part_from_strangers()
        await client.reader.read()
        await until(lambda: _is_empty(lobby.logins))


async def test_a_session_that_is_gone_before_it_is_let_in_takes_no_place(lobby: Lobby, opening: Opening) -> None:
    async with opening(serve=_letting_in(lobby.logins)) as entrance:
        for _ in range(6):
            client = await entrance.client()
            client.say(PASSWORD.encode() + b"\r\n")
            client.writer.transport.abort()
        await until(lambda: _is_empty(lobby.logins))
        await _logged_in(entrance)


async def test_where_nothing_can_be_known_that_is_said_and_not_counted(
    lobby: Lobby, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opening(serve=_letting_in(lobby.logins)) as entrance:
        client = await entrance.client()
        with monkeypatch.context() as patch:
            patch.setattr(passwords, "MOST_WAITING", 0)
            for _ in range(2 * TRIES):
                assert await client.ask(PASSWORD.encode()) == b"UNAVAILABLE " + UNAVAILABLE.text.encode()
        assert await client.ask(PASSWORD.encode()) == b"in"


async def test_without_a_database_nobody_is_told_that_his_password_is_wrong(lobby: Lobby, opening: Opening) -> None:
    away = connect(Store(mongodb_url=SecretStr("mongodb://127.0.0.1:1/")))
    logins = Logins(lobby.accounts, Tries(away, TRIES), lobby.clock, lobby.settings)
    async with opening(serve=_letting_in(logins)) as entrance:
        client = await entrance.client()
        assert await client.ask(PASSWORD.encode()) == b"UNAVAILABLE " + UNAVAILABLE.text.encode()
    away.client.close()


def _code(found: Person | Refusal) -> str | None:
    return found.code if isinstance(found, Refusal) else None


def _letting_in(logins: Logins) -> Any:
    """Every line is a password of Ann's."""

    async def serve(connection: Connection) -> None:
        await connection.write(b"hello\r\n")
        while True:
            await connection.flush()
            password = await connection.read_line(1000)
            found = await logins.log_in(ANN, password.decode(), connection)
            if isinstance(found, Refusal):
                await connection.write(f"{found.code} {found.text}\r\n".encode())
            else:
                await connection.write(b"in\r\n")

    return serve


async def _logged_in(entrance: Entrance) -> Client:
    client = await entrance.client()
    assert await client.ask(PASSWORD.encode()) == b"in"
    return client


async def _is_let_in(client: Client) -> bool:
    return await client.ask(PASSWORD.encode()) == b"in"


async def _is_empty(logins: Logins) -> bool:
    return not logins._sessions and not logins._under_way


async def _profiled(lobby: Lobby, name: str, password: str) -> tuple[Person | Refusal, list[str]]:
    """The answer, and what the database was asked for it, in order."""
    database = lobby.database
    await database.command("profile", 2)
    answer = await lobby.logins.let_in(name, password, HOME, "imap")
    await database.command("profile", 0)
    found = database["system.profile"].find({"ns": {"$regex": "tries|users|admins"}}).sort("ts", 1)
    asked = [f"{entry['op']} {entry['ns'].rpartition('.')[2]}" async for entry in found]
    await database["system.profile"].drop()
    await database["tries"].delete_many({})
    return answer, asked


def _counting(compared: list[str]) -> Any:
    real = passwords._holds

    def holds(stored: str, password: str) -> bool:
        compared.append(stored)
        return real(stored, password)

    return holds
