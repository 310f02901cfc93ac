"""`understudy letter` and `understudy destination`."""

import base64

from tests.console.conftest import Command
from tests.store.web.conftest import Door

RAW = b"From: a@x.test\r\nSubject: \x1b[31mred\r\n\r\n\x00\xff\r\n"


async def test_a_letter_is_listed_shown_printed_hurried_deleted_and_purged(understudy: Command, door: Door) -> None:
    address = "letters@example.test"
    await door.add_user(address)
    tried = {"at": door.clock.now(), "by": "f", "code": 451, "text": "later", "seconds": 0.1}
    letter = await door.add_letter(address, RAW, change={"state": "deferred", "attempts": 1, "history": [tried]})
    listed = (await understudy.good("letter", "list", address, "--forward", "deferred", "--json")).json
    assert [one["id"] for one in listed] == [letter]
    table = (await understudy.good("letter", "list", address, "--q", "red", "--mailbox", "INBOX")).text
    assert letter in table
    assert "\x1b" not in table
    shown = (await understudy.good("letter", "show", letter, "--json")).json
    assert (shown["id"], shown["attempts"][0]["reply"]) == (letter, {"code": 451, "text": "later"})
    assert "451 later" in (await understudy.good("letter", "show", letter)).text
    assert (await understudy.good("letter", "raw", letter)).out == RAW
    assert base64.b64decode((await understudy.good("letter", "raw", letter, "--json")).json["base64"]) == RAW
    hurried = (await understudy.good("letter", "forward-now", letter)).text
    assert "deferred, to main.test:25" in hurried
    assert "delete it first" in await understudy.refused("letter", "delete", letter, "--purge")
    assert "cancelled" in (await understudy.good("letter", "delete", letter)).text
    assert (await understudy.good("letter", "delete", letter, "--json")).json == {"forward": "cancelled"}
    assert (await understudy.good("letter", "delete", letter, "--purge", "--json")).json == {"purged": True}
    assert "no such thing" in await understudy.refused("letter", "raw", letter)


async def test_a_list_is_as_long_as_is_said(understudy: Command, door: Door) -> None:
    address = "many@example.test"
    await door.add_user(address)
    letters = [await door.add_letter(address) for _ in range(5)]
    listed = (await understudy.good("letter", "list", address, "--limit", "3", "--json")).json
    assert [one["id"] for one in listed] == letters[:1:-1]


async def test_destinations_are_listed_and_shown(understudy: Command, door: Door) -> None:
    await door.add_user("dest@example.test", target_server="[2001:db8::1]:26")
    names = [one["name"] for one in (await understudy.good("destination", "list", "--json")).json]
    assert "[2001:db8::1]:26" in names
    assert "[2001:db8::1]:26" in (await understudy.good("destination", "list")).text
    assert (await understudy.good("destination", "show", "[2001:db8::1]:26", "--json")).json["state"] == "up"
    assert "waiting" in (await understudy.good("destination", "show", "[2001:db8::1]:26")).text
    assert "no such thing" in await understudy.refused("destination", "show", "nowhere:25")
