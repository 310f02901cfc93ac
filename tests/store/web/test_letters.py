"""Letters through the API: what is seen, by whom, and what becomes of them."""

import asyncio
from typing import Any

import pytest

from shared.bus.tail import Tail
from shared.events import Deleted, Stored
from shared.letter import State
from shared.mailbox.bodies import Bodies, BodyMissing
from shared.mailbox.letters import Letters
from tests.kit.patience import until
from tests.store.web.conftest import Door

RAW = b"Received: from a\r\n\tby b\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.test>\r\nTo: ann@x.test\r\n" + (
    b"Subject: =?utf-8?b?SGVsbG8=?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n\r\n\x00\xff bare\rCR\r\n.\r\n"
)


async def test_a_letter_is_shown_with_what_its_headers_say(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, RAW)
    shown = (await door.admin.get(f"/letters/{letter}")).json()
    assert shown["received_at"].endswith("Z")
    assert shown["forward"].pop("expires_at").endswith("Z")
    del shown["received_at"]
    assert shown == {
        "id": letter,
        "receipt_id": letter.partition("-")[0],
        "address": ann,
        "mailbox": "INBOX",
        "uid": None,
        "size": len(RAW),
        "sender": "sender@elsewhere.test",
        "from": "Jürgen <j@x.test>",
        "to": "ann@x.test",
        "subject": "Hello",
        "date": "2024-01-01T09:00:00.000Z",
        "flags": [],
        "binned": None,
        "forward": {
            "state": "pending",
            "destination": "main.test:25",
            "attempts": 0,
            "last_attempt_at": None,
            "last_reply": None,
            "next_attempt_at": None,
            "waits_for": None,
        },
    }


async def test_a_deferred_letter_tells_what_the_server_said_and_when_it_is_tried_next(door: Door, ann: str) -> None:
    now = door.clock.now()
    last = {"code": 451, "text": "4.7.1 later", "at": now}
    tried = {"at": now, "by": "forwarder-x", "code": 451, "text": "4.7.1 later", "seconds": 0.25}
    change = {"state": "deferred", "attempts": 1, "last": last, "history": [tried]}
    letter = await door.add_letter(ann, change=change)
    forward = (await door.admin.get(f"/letters/{letter}")).json()["forward"]
    assert forward["last_reply"] == {"code": 451, "text": "4.7.1 later"}
    assert forward["waits_for"] == "time"
    assert forward["next_attempt_at"] > forward["last_attempt_at"]
    attempts = (await door.admin.get(f"/letters/{letter}/attempts")).json()
    assert attempts["next"] is None
    assert attempts["items"] == [
        {
            "at": forward["last_attempt_at"],
            "reply": {"code": 451, "text": "4.7.1 later"},
            "seconds": 0.25,
            "forwarder": "forwarder-x",
        }
    ]


async def test_a_letters_bytes_are_given_as_they_came(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, RAW)
    answer = await door.user(ann).get(f"/letters/{letter}/raw")
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == RAW


async def test_a_large_letter_is_given_whole_and_summed_up(door: Door, ann: str) -> None:
    raw = RAW + b"x" * (16 * 1024 * 1024)
    letter = await door.add_letter(ann, raw)
    assert (await door.admin.get(f"/letters/{letter}/raw")).content == raw
    assert (await door.admin.get(f"/letters/{letter}")).json()["subject"] == "Hello"


async def test_a_summary_is_made_once(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, RAW)
    await door.admin.get(f"/letters/{letter}")
    found = await Letters(door.database).get(letter)
    assert found is not None
    assert found["summary"]["subject"] == "Hello"
    await Letters(door.database).keep_summaries({letter: found["summary"] | {"subject": "kept"}})
    assert (await door.admin.get(f"/users/{ann}/letters")).json()["items"][0]["subject"] == "kept"


async def test_folders_are_the_usual_ones_and_what_else_holds_letters(door: Door, ann: str) -> None:
    await door.add_letter(ann)
    await door.add_letter(ann, folder="Projects/One")
    await door.add_letter(ann, folder=None)
    items = (await door.user(ann).get(f"/users/{ann}/mailboxes")).json()["items"]
    names = [folder["name"] for folder in items]
    assert names == ["INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive", "Projects/One"]
    assert [folder["letters"] for folder in items] == [1, 0, 0, 0, 0, 0, 1]
    assert items[0]["unread"] == 1


async def test_letters_are_listed_newest_first_by_folder_and_by_forward(door: Door, ann: str) -> None:
    first = await door.add_letter(ann)
    second = await door.add_letter(ann, folder="Archive", destination=None)
    third = await door.add_letter(ann, change={"state": "parked"})

    async def listed(**parameters: Any) -> list[str]:
        answer = await door.user(ann).get(f"/users/{ann}/letters", params=parameters)
        return [letter["id"] for letter in answer.json()["items"]]

    assert await listed() == [third, second, first]
    assert await listed(mailbox="INBOX") == [third, first]
    assert await listed(mailbox="Archive") == [second]
    assert await listed(mailbox="Nowhere") == []
    assert await listed(forward="pending") == [first]
    assert await listed(forward="none") == [second]
    assert await listed(forward="parked", mailbox="INBOX") == [third]
    assert (await door.admin.get(f"/users/{ann}/letters", params={"forward": "x"})).status_code == 422
    await door.admin.delete(f"/letters/{third}")
    assert await listed() == [second, first]


async def test_pages_hold_while_letters_come_and_go(door: Door, ann: str) -> None:
    letters = [await door.add_letter(ann) for _ in range(5)]
    page = (await door.admin.get(f"/users/{ann}/letters", params={"limit": 2})).json()
    assert [letter["id"] for letter in page["items"]] == [letters[4], letters[3]]
    await door.add_letter(ann)
    await door.admin.delete(f"/letters/{letters[3]}")
    page = (await door.admin.get(f"/users/{ann}/letters", params={"limit": 2, "after": page["next"]})).json()
    assert [letter["id"] for letter in page["items"]] == [letters[2], letters[1]]
    page = (await door.admin.get(f"/users/{ann}/letters", params={"limit": 2, "after": page["next"]})).json()
    assert [letter["id"] for letter in page["items"]] == [letters[0]]
    assert page["next"] is None


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"after": "???"}, {"after": "é"}])
async def test_a_page_that_cannot_be_is_refused(door: Door, ann: str, parameters: dict[str, Any]) -> None:
    answer = await door.admin.get(f"/users/{ann}/letters", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["status"] == 422


@pytest.mark.parametrize("text", ["jürgen", "J@X", "HELLO", "ann@x", "elsewhere.test"])
async def test_letters_are_found_by_what_their_headers_say(door: Door, ann: str, text: str) -> None:
    letter = await door.add_letter(ann, RAW)
    found = (await door.user(ann).get(f"/users/{ann}/letters", params={"q": text})).json()
    assert [one["id"] for one in found["items"]] == [letter]
    assert found["next"] is None


async def test_a_search_goes_on_from_where_it_ended(door: Door, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.store.mailbox.SEARCHED_LETTERS", 4)
    monkeypatch.setattr("services.store.mailbox._LOOKED_AT_ONCE", 2)
    wanted = [await door.add_letter(ann, b"Subject: needle\r\n\r\n")]
    for _ in range(9):
        await door.add_letter(ann)
    wanted.append(await door.add_letter(ann, b"Subject: needle\r\n\r\n"))
    found: list[str] = []
    pages = 0
    parameters: dict[str, Any] = {"q": "needle", "limit": 1}
    while True:
        page = (await door.admin.get(f"/users/{ann}/letters", params=parameters)).json()
        found += [letter["id"] for letter in page["items"]]
        pages += 1
        if page["next"] is None:
            break
        parameters["after"] = page["next"]
    assert found == [wanted[1], wanted[0]]
    assert pages >= 2


async def test_a_user_sees_only_his_own(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    await door.add_user(f"other-{ann}")
    other = door.user(f"other-{ann}")
    assert (await door.user(ann).get(f"/letters/{letter}")).status_code == 200
    paths = [f"/letters/{letter}", f"/letters/{letter}/raw", f"/letters/{letter}/attempts", f"/users/{ann}"]
    paths += [f"/users/{ann}/letters", f"/users/{ann}/mailboxes"]
    for path in paths:
        assert (await other.get(path)).status_code == 404, path
    assert (await other.delete(f"/letters/{letter}")).status_code == 404
    assert (await other.post(f"/letters/{letter}/forward-now")).status_code == 404
    assert (await door.admin.get(f"/letters/{letter}")).json()["binned"] is None


async def test_what_is_only_forwarded_administrators_see(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, folder=None)
    own = door.user(ann)
    for method, path in (("GET", ""), ("GET", "/raw"), ("GET", "/attempts"), ("DELETE", ""), ("POST", "/forward-now")):
        assert (await own.request(method, f"/letters/{letter}{path}")).status_code == 404
    shown = (await door.admin.get(f"/letters/{letter}")).json()
    assert shown["mailbox"] is None
    assert (await own.get(f"/users/{ann}/letters")).json()["items"] == []
    listed = (await door.admin.get(f"/users/{ann}/letters")).json()["items"]
    assert [one["id"] for one in listed] == [letter]
    assert (await door.admin.get(f"/users/{ann}/letters", params={"q": "nowhere"})).json()["items"] == []
    assert (await door.admin.get(f"/users/{ann}/letters", params={"mailbox": "INBOX"})).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "answer", "state"),
    [
        ({"state": "pending"}, "cancelled", "cancelled"),
        ({"state": "deferred"}, "cancelled", "cancelled"),
        ({"state": "parked"}, "cancelled", "cancelled"),
        ({"state": "in_flight"}, "in_flight", "in_flight"),
        ({"state": "deferred", "unknown": 1}, "in_flight", "cancelled"),
        ({"state": "forwarded"}, "forwarded", "forwarded"),
        ({"state": "none"}, "none", "none"),
    ],
)
async def test_a_delete_answers_what_became_of_the_forward(
    door: Door, ann: str, change: dict[str, Any], answer: str, state: str
) -> None:
    letter = await door.add_letter(ann, change=change)
    deleted = await door.user(ann).delete(f"/letters/{letter}")
    assert deleted.status_code == 200
    assert deleted.json() == {"forward": answer}
    shown = (await door.admin.get(f"/letters/{letter}")).json()
    assert shown["forward"]["state"] == state
    assert shown["binned"]["reason"] == "user"
    assert shown["binned"]["expires_at"] > shown["binned"]["at"]
    # A second time changes nothing and answers the same.
    assert (await door.admin.delete(f"/letters/{letter}")).json() == {"forward": answer}
    assert (await door.admin.get(f"/letters/{letter}")).json() == shown
    assert (await door.user(ann).get(f"/letters/{letter}")).json() == shown


async def test_a_delete_is_told_on_the_topic_at_once(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    async with Tail(door.settings, ["deleted"]) as tail:
        await tail.from_end()
        await door.admin.delete(f"/letters/{letter}")
        async with asyncio.timeout(5):
            async for records in tail.batches():
                if records:
                    break
    event = Deleted.from_json(records[0].value)
    assert (event.letter_id, event.reason, event.forward_was, event.mailbox) == (letter, "admin", "pending", "INBOX")
    found = await Letters(door.database).get(letter)
    assert found is not None
    assert records[0].partition == found["partition"]

    async def is_told() -> bool:
        found = await Letters(door.database).get(letter)
        return found is not None and "unannounced" not in found

    await until(is_told, within=5)


async def test_a_binned_letter_can_be_purged_and_is_then_nowhere(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    own = door.user(ann)
    early = await own.delete(f"/letters/{letter}", params={"purge": "true"})
    assert early.status_code == 409
    assert "delete it first" in early.json()["detail"]
    await own.delete(f"/letters/{letter}")
    purged = await own.delete(f"/letters/{letter}", params={"purge": "true"})
    assert (purged.status_code, purged.json()) == (200, {"purged": True})
    for method, path in (("GET", ""), ("GET", "/raw"), ("DELETE", ""), ("DELETE", "?purge=true")):
        assert (await own.request(method, f"/letters/{letter}{path}")).status_code == 404
    with pytest.raises(BodyMissing):
        await Bodies(door.database).raw(letter.partition("-")[0])


async def test_a_letter_under_way_is_not_purged(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, change={"state": "in_flight"})
    await door.admin.delete(f"/letters/{letter}")
    answer = await door.admin.delete(f"/letters/{letter}", params={"purge": "true"})
    assert answer.status_code == 409
    assert (await door.admin.get(f"/letters/{letter}/raw")).status_code == 200


async def test_forward_now_overrides_the_clock_and_tells_it(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, change={"state": "deferred", "attempts": 3})
    before = door.clock.now()
    async with Tail(door.settings, ["stored"]) as tail:
        await tail.from_end()
        answer = await door.user(ann).post(f"/letters/{letter}/forward-now")
        assert answer.status_code == 200
        assert answer.json()["forward"]["state"] == "deferred"
        async with asyncio.timeout(5):
            async for records in tail.batches():
                if records:
                    break
    event = Stored.from_json(records[0].value)
    assert (event.letter_id, event.cause, event.arming) == (letter, "rearmed", 1)
    found = await Letters(door.database).get(letter)
    assert found is not None
    assert found["forward"]["due"] <= door.clock.now()
    assert found["forward"]["due"] >= before


async def test_forward_now_arms_a_parked_letter_again_for_the_present_target(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, destination="old.test:25", change={"state": "parked", "attempts": 7})
    forward = (await door.user(ann).post(f"/letters/{letter}/forward-now")).json()["forward"]
    assert (forward["state"], forward["attempts"], forward["destination"]) == ("pending", 0, "main.test:25")
    found = await Letters(door.database).get(letter)
    assert found is not None
    assert found["forward"]["arming"] == 2


async def test_forward_now_of_a_letter_under_way_changes_nothing(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann, change={"state": "in_flight"})
    answer = await door.user(ann).post(f"/letters/{letter}/forward-now")
    assert (answer.status_code, answer.json()["forward"]["state"]) == (200, "in_flight")


@pytest.mark.parametrize("state", [State.FORWARDED, State.NONE, State.CANCELLED])
async def test_forward_now_of_what_is_over_is_refused(door: Door, ann: str, state: State) -> None:
    letter = await door.add_letter(ann, change={"state": str(state)})
    assert (await door.admin.post(f"/letters/{letter}/forward-now")).status_code == 409


async def test_forward_now_of_a_binned_letter_is_refused(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    await door.admin.delete(f"/letters/{letter}")
    answer = await door.admin.post(f"/letters/{letter}/forward-now")
    assert answer.status_code == 409
    assert "in the bin" in answer.json()["detail"]


async def test_a_parked_letter_whose_user_has_no_target_is_not_armed(door: Door) -> None:
    address = "untargeted@example.test"
    await door.add_user(address, mode="store_only")
    letter = await door.add_letter(address, change={"state": "parked"})
    answer = await door.admin.post(f"/letters/{letter}/forward-now")
    assert answer.status_code == 409
    assert "no target server" in answer.json()["detail"]


async def test_a_parked_notice_is_seen_and_armed_again_by_administrators_alone(door: Door, ann: str) -> None:
    notice = {"recipient": "sender@elsewhere.test", "of": "another"}
    letter = await door.add_letter("postmaster", folder=None, destination="relay.test:25", change={"state": "parked"})
    await door.database["letters"].update_one({"_id": letter}, {"$set": {"notice": notice, "sender": ""}})
    assert (await door.user(ann).get(f"/letters/{letter}")).status_code == 404
    assert (await door.admin.get("/users/postmaster/letters?forward=parked")).json()["items"][0]["id"] == letter
    armed = (await door.admin.post(f"/letters/{letter}/forward-now")).json()["forward"]
    assert (armed["state"], armed["destination"]) == ("pending", "relay.test:25")
    await door.admin.delete(f"/letters/{letter}")


async def test_postmasters_letters_are_for_administrators(door: Door, ann: str) -> None:
    letter = await door.add_letter("postmaster", destination=None)
    listed = (await door.admin.get("/users/postmaster/letters")).json()["items"]
    assert [one["id"] for one in listed] == [letter]
    assert (await door.user(ann).get("/users/postmaster/letters")).status_code == 404


async def test_unknown_letters_and_mailboxes_are_404(door: Door) -> None:
    for path in (
        "/letters/none",
        "/letters/none/raw",
        "/users/nobody@x.test/letters",
        "/users/nobody@x.test/mailboxes",
    ):
        answer = await door.admin.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
