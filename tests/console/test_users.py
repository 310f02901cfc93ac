"""`understudy user`."""

import json

from tests.console.conftest import Command
from tests.store.web.conftest import Door

TARGET = ("--target-address", "x@main.test", "--target-server", "u:p@main.test:587")


async def test_a_user_is_added_shown_changed_listed_and_removed(understudy: Command, door: Door) -> None:
    address = "cli@example.test"
    added = (await understudy.good("user", "add", address, "--password", "secret", *TARGET, "--json")).json
    assert added["target_server"] == "u:***@main.test:587"
    assert (await understudy.good("user", "show", address, "--json")).json == added
    assert address in (await understudy.good("user", "show", address)).text
    changes = ("--tls", "required", "--pass-client", "xforward", "--disable")
    changed = (await understudy.good("user", "set", address, *changes, "--json")).json
    assert (changed["tls"], changed["pass_client"], changed["enabled"]) == ("required", "xforward", False)
    await understudy.good("user", "set", address, "--enable")
    assert "new password" in (await understudy.good("user", "password", address, "--password", "another")).text
    assert (await door.user(address, "another").get(f"/users/{address}")).status_code == 200
    listed = (await understudy.good("user", "list", "--json")).json
    assert address in [user["address"] for user in listed]
    assert "u:***@main.test:587" in (await understudy.good("user", "list")).text
    assert (await understudy.good("user", "remove", address, "--json")).json["removed"] is True
    assert "no such thing" in await understudy.refused("user", "show", address)


async def test_what_the_api_refuses_is_told_in_its_words(understudy: Command) -> None:
    why = await understudy.refused("user", "add", "a@x.test", "--password", "secret", "--target-server", "main:465")
    assert "use 587 or 25 with STARTTLS" in why
    assert "no password" in await understudy.refused("user", "add", "a@x.test", *TARGET)


async def test_a_user_with_letters_that_wait_is_removed_as_is_said(understudy: Command, door: Door) -> None:
    address = "waits@example.test"
    await door.add_user(address)
    await door.add_letter(address)
    assert "letters=forward" in await understudy.refused("user", "remove", address)
    assert "1 letters" in (await understudy.good("user", "remove", address, "--letters", "forward")).text
    assert "is removed" in (await understudy.good("user", "remove", address, "--letters", "bin")).text


async def test_many_users_are_added_from_a_file_or_from_standard_input(understudy: Command) -> None:
    good = "address,password,mode\nb1@bulk.test,secret,store_only\nb2@bulk.test,secret,store_only\n"
    file = understudy.folder / "users.csv"
    file.write_text(good)
    dry = (await understudy.good("user", "bulk-add", str(file), "--dry-run", "--json")).json
    assert (dry["dry_run"], dry["ok"]) == (True, 2)
    assert "b2@bulk.test" in (await understudy.good("user", "bulk-add", "-", given=good.encode())).text
    again = await understudy("user", "bulk-add", "-", "--atomic", given=good.encode() + b"b3@bulk.test,,store_only\n")
    assert again.code == 1
    assert "there is a user of that address" in again.text
    assert "2 of 3 rows are refused" in again.err
    users = json.dumps([{"address": "b4@bulk.test", "mode": "store_only"}])
    (understudy.folder / "users.json").write_text(users)
    assert (await understudy.good("user", "bulk-add", "users.json", "--json")).json["ok"] == 1
    assert "first line" in await understudy.refused("user", "bulk-add", "-", given=b"nonsense\n")
    assert "cannot be read" in await understudy.refused("user", "bulk-add", "missing.csv")
