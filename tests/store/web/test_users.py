"""Users through the API: every field, every refusal."""

import asyncio
from typing import Any

import pytest

from shared.mailbox.letters import Letters
from shared.mailbox.users import Users
from shared.sealing import Seal
from tests.kit.patience import until
from tests.store.web.conftest import Door

GOOD: dict[str, Any] = {
    "address": "new@example.test",
    "password": "correct horse",
    "target_address": "new@main.test",
    "target_server": "main.test",
}


async def test_a_user_is_made_and_shown(door: Door) -> None:
    made = await door.admin.post(
        "/users", json=GOOD | {"address": "Made@Example.Test", "target_address": "M@Main.test"}
    )
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/v1/users/made@example.test"
    user = made.json()
    assert user["created_at"].endswith("Z")
    assert {name: user[name] for name in user if name != "created_at"} == {
        "address": "made@example.test",
        "mode": "store_and_forward",
        "target_address": "M@main.test",
        "target_server": "main.test:25",
        "tls": "opportunistic",
        "pass_client": "none",
        "pop3_delete": "delete",
        "enabled": True,
        "leaving": False,
    }
    assert (await door.admin.get("/users/MADE@example.test")).json() == user


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"address": "no-at"}, "address", "name@domain"),
        ({"address": "@example.test"}, "address", "name@domain"),
        ({"address": "a@"}, "address", "name@domain"),
        ({"address": "a b@example.test"}, "address", "spaces"),
        ({"address": "a\x00b@example.test"}, "address", "control"),
        ({"address": "a\r\n@example.test"}, "address", "control"),
        ({"address": "a/b@example.test"}, "address", "spaces"),
        ({"address": "a@b@example.test"}, "address", "spaces"),
        ({"address": "a@exa mple.test"}, "address", "domain"),
        ({"address": "a@example..test"}, "address", "domain"),
        ({"address": "a@[127.0.0.1]"}, "address", "domain"),
        ({"address": "x" * 65 + "@example.test"}, "address", "RFC 5321"),
        ({"address": None}, "address", "string"),
        ({"password": "ab"}, "password", "3 to 1000"),
        ({"password": "x" * 1001}, "password", "3 to 1000"),
        ({"password": "abc\r\ndef"}, "password", "control"),
        ({"mode": "both"}, "mode", "store_and_forward"),
        ({"tls": "maybe"}, "tls", "opportunistic"),
        ({"pass_client": "xyz"}, "pass_client", "xforward"),
        ({"pop3_delete": "keep"}, "pop3_delete", "hide"),
        ({"enabled": "perhaps"}, "enabled", "boolean"),
        ({"target_server": None}, "target_server", "store_and_forward needs it"),
        ({"target_address": None}, "target_address", "store_and_forward needs it"),
        ({"mode": "forward_only", "target_server": None}, "target_server", "forward_only needs it"),
        ({"mode": "store_only"}, "target_server", "store_only has no target"),
        ({"mode": "store_only", "target_server": None}, "target_address", "store_only has no target"),
        ({"target_address": "nobody"}, "target_address", "name@domain"),
        ({"target_server": "main.test:465"}, "target_server", "use 587 or 25 with STARTTLS"),
        ({"target_server": "smtp://main.test"}, "target_server", "scheme"),
        ({"target_server": "localhost:2525"}, "target_server", "this system itself"),
        ({"target_server": "[::]:2525"}, "target_server", "this system itself"),
        ({"target_server": "u:***@main.test"}, "target_server", "no password is kept"),
        ({"quota": 5}, "quota", "not permitted"),
    ],
)
async def test_a_user_that_cannot_be_is_refused_with_the_field_and_the_reason(
    door: Door, fields: dict[str, Any], field: str, why: str
) -> None:
    answer = await door.admin.post("/users", json=GOOD | fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    found = {one["field"]: one["detail"] for one in problem["errors"]}
    assert why in found[field]
    assert why in problem["detail"]
    assert (await door.admin.get("/users/new@example.test")).status_code == 404


async def test_a_refusal_does_not_repeat_the_password(door: Door) -> None:
    answer = await door.admin.post("/users", json=GOOD | {"password": "secret\x00secret", "mode": "x"})
    assert "secret" not in answer.text


@pytest.mark.parametrize("address", ["ünï@bücher.test", "o'neil+tag@example.test", "a.b-c_d=e@sub.example.test"])
async def test_unusual_addresses_are_users_too(door: Door, address: str) -> None:
    await door.add_user(address)
    assert (await door.admin.get(f"/users/{address}")).json()["address"] == address


async def test_an_address_is_one_user_whatever_its_case(door: Door, ann: str) -> None:
    answer = await door.admin.post("/users", json=GOOD | {"address": ann.upper()})
    assert answer.status_code == 409
    assert "there is a user" in answer.json()["detail"]


async def test_modes_without_a_contradiction_are_taken(door: Door) -> None:
    only_stored = await door.add_user("stored@example.test", mode="store_only")
    assert (only_stored["target_server"], only_stored["target_address"]) == (None, None)
    only_forwarded = await door.add_user("forwarded@example.test", mode="forward_only", tls="verified")
    assert (only_forwarded["mode"], only_forwarded["tls"]) == ("forward_only", "verified")


async def test_a_targets_password_is_sealed_hidden_and_kept_when_written_back(door: Door) -> None:
    address = "login@example.test"
    shown = await door.add_user(address, target_server="us%40er:p%40ss@Main.test:587")
    assert shown["target_server"] == "us%40er:***@main.test:587"

    kept = (await Users(door.database).get(address)).target  # type: ignore[union-attr]
    assert kept is not None
    assert kept.password is not None
    assert b"p@ss" not in kept.password
    assert Seal(b"a key that is long enough").open(kept.password) == "p@ss"
    assert kept.username == "us@er"

    back = await door.admin.patch(f"/users/{address}", json=shown | {"tls": "required", "pass_client": "xclient"})
    assert back.status_code == 200
    assert (back.json()["tls"], back.json()["pass_client"]) == ("required", "xclient")
    assert (await Users(door.database).get(address)).target == kept  # type: ignore[union-attr]
    moved = await door.admin.patch(f"/users/{address}", json={"target_server": "us%40er:***@main.test:25"})
    assert moved.json()["target_server"] == "us%40er:***@main.test:25"


@pytest.mark.parametrize("server", ["other:***@main.test", "user:***@elsewhere.test"])
async def test_a_kept_password_is_sent_to_nobody_else(door: Door, ann: str, server: str) -> None:
    await door.admin.patch(f"/users/{ann}", json={"target_server": "user:secret@main.test"})
    answer = await door.admin.patch(f"/users/{ann}", json={"target_server": server})
    assert answer.status_code == 422
    assert "belongs to another user or host" in answer.json()["detail"]


async def test_a_change_changes_what_it_names(door: Door, ann: str) -> None:
    before = (await door.admin.get(f"/users/{ann}")).json()
    changed = await door.admin.patch(f"/users/{ann}", json={"pop3_delete": "hide", "enabled": False})
    assert changed.status_code == 200
    assert changed.json() == before | {"pop3_delete": "hide", "enabled": False}
    assert (await door.admin.patch(f"/users/{ann}", json={})).json() == changed.json()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"address": "other@example.test"}, "cannot change"),
        ({"target_server": None}, "needs it"),
        ({"target_address": None}, "needs it"),
        ({"mode": "store_only", "target_server": "main.test"}, "has no target"),
        ({"target_server": "127.0.0.1:2525"}, "this system itself"),
        ({"unknown": 1}, "not permitted"),
    ],
)
async def test_a_change_that_contradicts_is_refused(door: Door, ann: str, fields: dict[str, Any], why: str) -> None:
    answer = await door.admin.patch(f"/users/{ann}", json=fields)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


async def test_a_change_to_store_only_drops_the_target_but_not_letters_that_wait(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    refused = await door.admin.patch(f"/users/{ann}", json={"mode": "store_only"})
    assert refused.status_code == 409
    assert "1 letters still wait" in refused.json()["detail"]
    await door.admin.delete(f"/letters/{letter}")
    changed = (await door.admin.patch(f"/users/{ann}", json={"mode": "store_only"})).json()
    assert (changed["mode"], changed["target_server"], changed["target_address"]) == ("store_only", None, None)
    back = await door.admin.patch(f"/users/{ann}", json={"mode": "store_and_forward"})
    assert back.status_code == 422


async def test_what_waits_waits_for_the_new_target(door: Door, ann: str) -> None:
    waiting = await door.add_letter(ann)
    deferred = await door.add_letter(ann, change={"state": "deferred"})
    done = await door.add_letter(ann, change={"state": "forwarded"})
    await door.admin.patch(f"/users/{ann}", json={"target_server": "new.test:26"})
    letters = {letter["_id"]: letter for letter in await Letters(door.database).many([waiting, deferred, done])}
    assert letters[waiting]["forward"]["destination"] == "new.test:26"
    assert letters[deferred]["forward"]["destination"] == "new.test:26"
    assert letters[done]["forward"]["destination"] == "main.test:25"


async def test_unknown_users_are_404(door: Door) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        answer = await door.admin.request(method, "/users/nobody@example.test", json={} if method == "PATCH" else None)
        assert answer.status_code == 404, method


async def test_users_are_listed_page_by_page_while_users_come_and_go(door: Door) -> None:
    addresses = [f"page{number}@pages.test" for number in range(5)]
    for address in addresses:
        await door.add_user(address)
    seen: list[str] = []
    after = None
    while True:
        parameters = {"limit": 2, **({"after": after} if after else {})}
        page = (await door.admin.get("/users", params=parameters)).json()
        assert len(page["items"]) <= 2
        seen += [user["address"] for user in page["items"] if user["address"].endswith("@pages.test")]
        if "page1@pages.test" in seen:
            # Neither one that went nor one that came before the cursor moves what follows.
            await door.admin.delete("/users/page1@pages.test")
            await door.admin.post("/users", json=GOOD | {"address": "page0a@pages.test"})
        after = page["next"]
        if after is None:
            break
    assert seen == addresses


async def test_a_user_without_waiting_letters_goes_at_once_and_his_mailbox_with_him(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, destination=None)
    answer = await door.admin.delete(f"/users/{ann}")
    assert answer.status_code == 200
    assert answer.json() == {"address": ann, "removed": True, "waiting": 0}
    assert (await door.admin.get(f"/users/{ann}")).status_code == 404
    binned = (await door.admin.get(f"/letters/{letter}")).json()
    assert binned["binned"]["reason"] == "admin"
    await door.add_user(ann)
    assert (await door.admin.get(f"/users/{ann}/letters")).json()["items"] == []


async def test_a_user_for_whom_letters_wait_stays_unless_it_is_said_what_becomes_of_them(door: Door, ann: str) -> None:
    await door.add_letter(ann)
    answer = await door.admin.delete(f"/users/{ann}")
    assert answer.status_code == 409
    assert "letters=forward" in answer.json()["detail"]
    assert (await door.admin.get(f"/users/{ann}")).json()["leaving"] is False
    assert (await door.admin.delete(f"/users/{ann}", params={"letters": "burn"})).status_code == 422


async def test_a_leaving_user_takes_no_mail_has_no_login_and_goes_with_his_last_letter(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, change={"state": "in_flight"})
    answer = await door.admin.delete(f"/users/{ann}", params={"letters": "forward"})
    assert answer.json() == {"address": ann, "removed": False, "waiting": 1}
    assert (await door.admin.get(f"/users/{ann}")).json()["leaving"] is True
    assert (await door.user(ann).get(f"/users/{ann}")).status_code == 401
    assert await Users(door.database).accepting([ann]) == set()

    await door.database["letters"].update_one({"_id": letter}, {"$set": {"forward.state": "forwarded"}})

    async def is_gone() -> bool:
        return (await door.admin.get(f"/users/{ann}")).status_code == 404

    await until(is_gone, within=20, what="the leaving user's end")
    assert (await door.admin.get(f"/letters/{letter}")).json()["binned"]["reason"] == "admin"


async def test_a_user_removed_with_his_letters_binned_is_gone_at_once(door: Door, ann: str) -> None:
    pending = await door.add_letter(ann)
    flying = await door.add_letter(ann, change={"state": "in_flight"})
    unread = await door.add_letter(ann, folder=None)
    answer = await door.admin.delete(f"/users/{ann}", params={"letters": "bin"})
    assert answer.json()["removed"] is True
    for letter, state in ((pending, "cancelled"), (flying, "in_flight"), (unread, "cancelled")):
        shown = (await door.admin.get(f"/letters/{letter}")).json()
        assert (shown["forward"]["state"], shown["binned"]["reason"]) == (state, "admin")
    found = await Letters(door.database).get(flying)
    assert found is not None
    assert found["forward"]["wish"] is True


async def test_changes_at_the_same_time_all_happen(door: Door, ann: str) -> None:
    changes = [{"tls": "required"}, {"pop3_delete": "hide"}, {"enabled": False}]
    answers = await asyncio.gather(*[door.admin.patch(f"/users/{ann}", json=change) for change in changes])
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    user = (await door.admin.get(f"/users/{ann}")).json()
    assert (user["tls"], user["pop3_delete"], user["enabled"]) == ("required", "hide", False)
