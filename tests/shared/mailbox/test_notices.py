"""Notices to senders: owed where nobody could read the letter, written once whatever crashes, and never answered."""

from datetime import timedelta
from typing import Any

import pytest

from shared.mailbox import facts
from shared.mailbox.destinations import Destinations
from shared.mailbox.letters import Letter
from shared.mailbox.notices import YOUNG, Notice, notice_of, notice_receipt_id
from shared.mailbox.users import POSTMASTER
from tests.kit.letters import EXPIRES, LATER, NOW, TARGET, Room, tried

RELAY = "relay.example.test:25"
RAW = b"Subject: Your message could not be delivered\r\n\r\n"
ALL = range(12)


async def _parked(room: Room, **fields: Any) -> str:
    given: dict[str, Any] = {"mode": "forward_only", "folder": None, **fields}
    name = await room.claimed(**given)
    await room.end(name, "park", code=550)
    return name


async def _due(room: Room) -> list[Letter]:
    return await room.notices.due(ALL, NOW, 100)


def _written(original: Letter) -> Notice:
    return notice_of(original, RAW, RELAY, LATER)


async def _count(room: Room) -> int:
    return await room.database["letters"].count_documents({"notice": {"$exists": True}})


async def test_the_sender_of_a_forward_only_letter_that_is_parked_is_owed_a_notice(room: Room) -> None:
    name = await _parked(room)
    (letter,) = await _due(room)
    assert (letter["_id"], letter["notice_due"]) == (name, NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "store_and_forward", "folder": "INBOX"},
        {"sender": ""},
        {"sender": "", "address": POSTMASTER, "notice": True},
    ],
    ids=["readable here", "null sender", "itself a notice"],
)
async def test_no_notice_is_owed(room: Room, fields: dict[str, Any]) -> None:
    if fields.pop("notice", False):
        await _parked(room)
        (original,) = await _due(room)
        await room.notices.send([_written(original)])
        name = _written(original).document["_id"]
        await room.claims.claim([name], "forwarder", "another", LATER + timedelta(hours=1))
        await room.end(name, "park", token="another", code=550)
    else:
        name = await _parked(room, **fields)
    letter = await room.now(name)
    assert letter["forward"]["state"] == "parked"
    assert "notice_due" not in letter
    assert await _due(room) == []


@pytest.mark.parametrize("end", ["defer", "deliver"])
async def test_a_letter_that_is_not_parked_owes_nothing(room: Room, end: str) -> None:
    name = await room.claimed(mode="forward_only", folder=None)
    await room.end(name, end, code=450)
    assert "notice_due" not in await room.now(name)


async def test_8_the_fifth_unknown_result_owes_a_notice_too(room: Room) -> None:
    name = await room.put_new(mode="forward_only", folder=None)
    for number in range(5):
        assert await _due(room) == []
        await room.claims.claim([name], "forwarder", f"token {number}", NOW)
        await room.end(name, "defer", token=f"token {number}", code=0, unknown=True, due=NOW)
    assert [letter["_id"] for letter in await _due(room)] == [name]


async def test_what_expires_untried_owes_a_notice_where_it_cannot_be_read(room: Room) -> None:
    hidden = await room.put_new(mode="forward_only", folder=None)
    await room.put_new()
    await room.put_new(mode="forward_only", folder=None, sender="")
    parked = await Destinations(room.database).expire(TARGET, NOW, LATER, {"code": 0, "text": "its time was over"})
    assert len(parked) == 3
    assert [letter["_id"] for letter in await _due(room)] == [hidden]


async def test_a_delete_in_flight_leaves_nobody_to_be_told(room: Room) -> None:
    name = await room.claimed(mode="forward_only", folder=None)
    await room.delete(name)
    await room.end(name, "park", code=550)
    assert (await room.now(name)).keys().isdisjoint({"notice_due"})


@pytest.mark.parametrize("change", ["rearmed", "deleted", "delivered after all", "told delivered"])
async def test_what_is_parked_no_more_is_told_no_more(room: Room, change: str) -> None:
    name = await _parked(room)
    (original,) = await _due(room)
    match change:
        case "rearmed":
            await room.claims.rearm(name, TARGET, LATER)
        case "deleted":
            await room.delete(name)
        case "delivered after all":
            await room.end(name, "deliver")
        case _:
            await room.claims.told_delivered(name, {"code": 250, "text": "Ok"}, LATER)
    assert await _due(room) == []
    assert "notice_due" not in await room.now(name)
    assert await room.notices.send([_written(original)]) == set()
    assert await _count(room) == 0
    assert await room.database["bodies"].count_documents({}) == 1


async def test_parked_again_it_owes_another_notice(room: Room) -> None:
    name = await _parked(room)
    (first,) = await _due(room)
    await room.notices.send([_written(first)])
    await room.claims.rearm(name, TARGET, NOW)
    await room.claims.claim([name], "forwarder", "again", NOW)
    await room.end(name, "park", token="again", arming=2, code=550)
    (second,) = await _due(room)
    assert await room.notices.send([_written(first)]) == set(), "a late writing of the first settles nothing"
    assert [letter["_id"] for letter in await _due(room)] == [name]
    await room.notices.send([_written(second)])
    assert await _count(room) == 2
    assert await _due(room) == []


async def test_only_young_marks_of_the_partitions_asked_for_are_found_longest_parked_first(room: Room) -> None:
    names = []
    for number, partition in enumerate((3, 1, 3)):
        name = await room.claimed(mode="forward_only", folder=None, partition=partition, token=f"token {number}")
        ended = tried(name, "park", token=f"token {number}", code=550)
        await room.claims.record([ended], NOW - timedelta(days=number))
        names.append(name)
    assert [letter["_id"] for letter in await room.notices.due({3}, NOW, 100)] == [names[2], names[0]]
    assert [letter["_id"] for letter in await room.notices.due({1, 3}, NOW, 2)] == [names[2], names[1]]
    assert [letter["_id"] for letter in await room.notices.due({1, 3}, NOW + YOUNG, 100)] == [names[0]]
    assert await room.notices.due([], NOW, 100) == []


async def test_a_notice_is_a_letter_to_be_forwarded_in_nobodys_folder(room: Room) -> None:
    name = await _parked(room, partition=7)
    (original,) = await _due(room)
    (notice,) = await room.notices.send([_written(original)])
    letter = await room.now(notice)
    assert letter["notice"] == {"recipient": "sender@elsewhere.test", "of": name}
    assert (letter["address"], letter["folder"], letter["mode"], letter["sender"]) == (
        POSTMASTER,
        None,
        "forward_only",
        "",
    )
    assert (letter["partition"], letter["offset"]) == (7, original["offset"])
    forward = letter["forward"]
    assert (forward["state"], forward["destination"], forward["arming"]) == ("pending", RELAY, 1)
    assert await room.bodies.raw(letter["receipt_id"]) == RAW
    assert letter["size"] == len(RAW)
    (mark,) = letter["unannounced"]
    event = facts.of_mark(letter, mark)
    assert (event.event_id, event.TOPIC) == (f"{notice}.stored.1", "stored")


async def test_1_the_ids_of_a_notice_derive_from_letter_and_arming(room: Room) -> None:
    name = await _parked(room)
    first, again, other = (notice_receipt_id(*one) for one in ((name, 1), (name, 1), (name, 2)))
    assert first == again != other
    assert len(first) == 26
    assert first[:10] == name[:10], "it sorts by the time of the letter"
    assert set(first) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@pytest.mark.parametrize("crash_after", ["body", "letter", "mark"])
async def test_a_crash_between_any_two_steps_is_repeated_without_harm(room: Room, crash_after: str) -> None:
    await _parked(room)
    (original,) = await _due(room)
    notice = _written(original)
    receipt = notice.document["receipt_id"]
    await room.bodies.insert([(receipt, RAW, [notice.document["_id"]])], origin={})
    if crash_after != "body":
        await room.letters.insert([notice.document])
    if crash_after == "mark":
        await room.notices.settle([original])
    new = await room.notices.send([_written(original)])
    assert new == ({notice.document["_id"]} if crash_after == "body" else set())
    assert await _count(room) == 1
    assert await room.bodies.raw(receipt) == RAW
    assert await _due(room) == []
    assert await room.notices.send([_written(original)]) == set()


async def test_3_a_notice_delivered_and_purged_before_its_mark_was_off_is_not_raised_again(room: Room) -> None:
    await _parked(room)
    (original,) = await _due(room)
    notice = _written(original)
    name = notice.document["_id"]
    await room.notices.send([notice])
    # As a crash leaves it that came before the mark was taken off.
    await room.database["letters"].update_one({"_id": original["_id"]}, {"$set": {"notice_due": NOW}})
    await room.claims.claim([name], "forwarder", "token", LATER + timedelta(hours=1))
    await room.end(name, "deliver")
    (binned,) = await room.removal.remove_copies([name], LATER, LATER)
    await room.tell_marks()
    gone = await room.removal.purge([{**binned, "offset": original["offset"]}], EXPIRES)
    await room.bodies.release(gone)
    await room.removal.released([name])
    assert await room.notices.send([_written(original)]) == set()
    assert "gone" in await room.now(name)
    assert await room.database["bodies"].count_documents({"_id": notice.document["receipt_id"]}) == 0
    assert await _due(room) == []
    assert await room.removal.forget_gravestones(original["partition"], original["offset"] + 1) == 1


async def test_a_batch_is_sent_each_for_itself(room: Room) -> None:
    names = [await _parked(room) for _ in range(20)]
    letters = await _due(room)
    for name in names[::4]:
        await room.delete(name)
    assert len(await room.notices.send([_written(letter) for letter in letters])) == 15
    assert await _count(room) == 15


async def test_a_change_of_target_leaves_notices_alone(room: Room) -> None:
    name = await _parked(room)
    (original,) = await _due(room)
    (notice,) = await room.notices.send([_written(original)])
    address = (await room.now(name))["address"]
    await Destinations(room.database).refile(address, "other.example.test:25", LATER)
    assert (await room.now(notice))["forward"]["destination"] == RELAY
