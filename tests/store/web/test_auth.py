"""Who is let in, and to what."""

import base64
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.store import passwords
from services.store.door import logins
from shared.settings import SettingsError
from tests.kit.scope import Scope
from tests.store.web.conftest import ADMIN_PASSWORD, TOKEN, Door, opened_door, store_settings

FOR_ADMINISTRATORS = [
    ("GET", "/users"),
    ("POST", "/users"),
    ("POST", "/users/bulk"),
    ("PATCH", "/users/{own}"),
    ("DELETE", "/users/{own}"),
    ("GET", "/destinations"),
    ("GET", "/destinations/main.test:25"),
    ("GET", "/status"),
    ("GET", "/events"),
]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer wrong",
        "Bearer",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"admin:wrong").decode(),
        "Basic " + base64.b64encode(b"admin:").decode(),
        "Basic " + base64.b64encode(b"nobody@example.test:correct horse").decode(),
        "Basic " + base64.b64encode(b"a\x00b:c").decode(),
        "Digest x",
        f"Token {TOKEN}",
    ],
)
async def test_who_is_not_known_is_told_how_to_become_so(door: Door, header: str | None) -> None:
    answer = await door.client(headers={"Authorization": header} if header else {}).get("/users")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="understudy", Basic realm="understudy", charset="UTF-8"'


async def test_the_administrator_enters_by_token_and_by_password(door: Door) -> None:
    assert (await door.admin.get("/users")).status_code == 200
    assert (await door.user("admin", ADMIN_PASSWORD).get("/users")).status_code == 200
    assert (await door.client(headers={"Authorization": f"bearer {TOKEN}"}).get("/users")).status_code == 200


@pytest.mark.parametrize(("method", "path"), FOR_ADMINISTRATORS)
async def test_what_is_for_administrators_is_not_for_users(door: Door, ann: str, method: str, path: str) -> None:
    answer = await door.user(ann).request(
        method, path.format(own=ann), json={} if method in ("POST", "PATCH") else None
    )
    assert answer.status_code == 403


async def test_a_user_sees_himself(door: Door, ann: str) -> None:
    for name in (ann, ann.upper()):
        answer = await door.user(name).get(f"/users/{ann.upper()}")
        assert (answer.status_code, answer.json()["address"]) == (200, ann)


async def test_a_wrong_password_is_wrong_also_after_a_right_one(door: Door, ann: str) -> None:
    assert (await door.user(ann).get(f"/users/{ann}")).status_code == 200
    assert (await door.user(ann, "wrong horse").get(f"/users/{ann}")).status_code == 401


async def test_a_new_password_counts_at_once(door: Door, ann: str) -> None:
    assert (await door.user(ann).get(f"/users/{ann}")).status_code == 200
    await door.admin.patch(f"/users/{ann}", json={"password": "battery staple"})
    assert (await door.user(ann).get(f"/users/{ann}")).status_code == 401
    assert (await door.user(ann, "battery staple").get(f"/users/{ann}")).status_code == 200
    await door.admin.patch(f"/users/{ann}", json={"password": None})
    assert (await door.user(ann, "battery staple").get(f"/users/{ann}")).status_code == 401


async def test_a_disabled_user_is_not_let_in(door: Door, ann: str) -> None:
    own = door.user(ann)
    assert (await own.get(f"/users/{ann}")).status_code == 200
    await door.admin.patch(f"/users/{ann}", json={"enabled": False})
    assert (await own.get(f"/users/{ann}")).status_code == 401


async def test_a_password_is_the_same_in_each_of_its_unicode_forms(door: Door, ann: str) -> None:
    await door.admin.patch(f"/users/{ann}", json={"password": "passwo\u0308rt:x"})
    assert (await door.user(ann, "passw\u00f6rt:x").get(f"/users/{ann}")).status_code == 200


async def test_passwords_are_kept_as_argon2id_and_compared_once_a_minute(
    door: Door, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await door.database["users"].find_one({"_id": ann})
    assert stored is not None
    assert stored["password_hash"].startswith("$argon2id$")
    compared: list[str] = []
    monkeypatch.setattr(passwords, "_holds", _counting(compared))
    for _ in range(3):
        assert (await door.user(ann).get(f"/users/{ann}")).status_code == 200
    assert len(compared) == 1
    # For nobody it takes as long as for somebody.
    assert (await door.user("nobody@example.test").get("/users")).status_code == 401
    assert len(compared) == 2


async def test_who_has_tried_too_many_passwords_is_told_when_to_come_again(
    door: Door, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "FIRST_PAUSE_SECONDS", 0.0)
    for number in range(door.settings.login_tries_per_minute):
        assert (await door.user(ann, f"wrong {number}").get(f"/users/{ann}")).status_code == 401
    answer = await door.user(ann).get(f"/users/{ann}")
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    # Tokens are not guessed, and an administrator goes on.
    assert (await door.admin.get(f"/users/{ann}")).status_code == 200


async def test_too_many_who_knock_are_told_to_come_again(door: Door, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    answer = await door.user(ann).get(f"/users/{ann}")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


async def test_the_first_password_is_given_once_and_the_token_at_each_start(scope: Scope, tmp_path: Path) -> None:
    async with opened_door(scope, store_settings(scope, tmp_path)):
        pass
    settings = store_settings(scope, tmp_path)
    (tmp_path / "password").write_text("another")
    (tmp_path / "token").write_text("another token")
    async with opened_door(scope, settings) as door:
        assert (await door.admin.get("/users")).status_code == 401
        assert (await _with_token(door, "another token")).status_code == 200
        assert (await door.user("admin", "another").get("/users")).status_code == 401
        assert (await door.user("admin", ADMIN_PASSWORD).get("/users")).status_code == 200


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"secret_key": None}, "SECRET_KEY"),
        ({"secret_key": "short"}, "SECRET_KEY"),
        ({"own_listeners": "x:y"}, "OWN_LISTENERS"),
        ({"services": "store=here"}, "SERVICES"),
        ({"admin_token_file": Path("/nowhere")}, "ADMIN_TOKEN_FILE"),
        ({"admin_password_file": Path("/dev/null")}, "ADMIN_PASSWORD_FILE"),
    ],
)
async def test_settings_that_cannot_serve_prevent_the_start(
    door: Door, tmp_path: Path, change: dict[str, object], why: str
) -> None:
    # Empty for each: a first password is not read where there is an administrator.
    await door.database.client.drop_database(f"{door.scope.database}-unused")
    scope = replace(door.scope, database=f"{door.scope.database}-unused")
    with pytest.raises(SettingsError, match=why):
        async with opened_door(scope, store_settings(scope, tmp_path, **change)):
            pass


async def _with_token(door: Door, token: str) -> httpx.Response:
    return await door.client(headers={"Authorization": f"Bearer {token}"}).get("/users")


def _counting(compared: list[str]) -> object:
    real = passwords._holds

    def holds(stored: str, password: str) -> bool:
        compared.append(stored)
        return real(stored, password)

    return holds
