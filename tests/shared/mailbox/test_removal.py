"""How letters leave: a person's delete, the removal of a forwarded copy, the purge. Numbers are the design's rules."""

from datetime import timedelta

import pytest

from shared.letter import letter_id
from shared.mailbox.bodies import BodyMissing
from shared.mailbox.places import unnumbered
from shared.mailbox.removal import answer_to_binned, answer_to_delete
from tests.kit.letters import EXPIRES, LATER, NOW, Room, a_letter

AFTER = EXPIRES + timedelta(seconds=1)


async def _in_state(room: Room, state: str) -> str:
    match state:
        case "none":
            return await room.put_new(destination=None, mode="store_only")
        case "pending":
            return await room.put_new()
    name = await room.claimed()
    if state != "in_flight":
        unknown = state == "unknown"
        end = {"forwarded": "deliver", "parked": "park", "deferred": "defer", "unknown": "defer"}[state]
        await room.end(name, end, code=0 if unknown else 250, unknown=unknown)
    return name


@pytest.mark.parametrize(
    ("state", "answer", "after"),
    [
        ("pending", "cancelled", "cancelled"),
        ("deferred", "cancelled", "cancelled"),
        ("parked", "cancelled", "cancelled"),
        ("in_flight", "in_flight", "in_flight"),
        ("unknown", "in_flight", "cancelled"),
        ("forwarded", "forwarded", "forwarded"),
        ("none", "none", "none"),
    ],
)
async def test_a_delete_answers_what_became_of_the_forward(room: Room, state: str, answer: str, after: str) -> None:
    name = await _in_state(room, state)
    before = await room.delete(name)
    assert before is not None
    assert answer_to_delete(before) == answer
    assert await room.state(name) == after
    binned = await room.now(name)
    assert binned["binned"]["reason"] == "user"
    assert answer_to_binned(binned) == answer, "asked again, it answers the same"
    assert binned["unannounced"][-1]["kind"] == "deleted"


async def test_a_second_delete_changes_nothing(room: Room) -> None:
    name = await room.put_new()
    await room.delete(name)
    before = await room.now(name)
    assert await room.delete(name, reason="admin") is None
    assert await room.now(name) == before


async def test_10_removing_the_copy_consumes_its_mark(room: Room) -> None:
    name = await room.forwarded()
    removed = await room.removal.remove_copies([name], NOW, EXPIRES)
    assert [letter["_id"] for letter in removed] == [name]
    letter = await room.now(name)
    assert (letter["binned"]["reason"], "copy_due" in letter) == ("forwarded", False)


async def test_10_a_forwarded_told_again_cannot_take_a_letter_without_the_mark(room: Room) -> None:
    name = await room.forwarded()
    await room.removal.remove_copies([name], NOW, EXPIRES)
    restored = {"$unset": {"binned": ""}, "$set": unnumbered("ann@example.test", "INBOX", "restored")}
    await room.database["letters"].update_one({"_id": name}, restored)
    assert await room.removal.remove_copies([name], NOW, EXPIRES) == []
    assert "binned" not in await room.now(name)


async def test_removal_told_again_tells_the_same_copy_again(room: Room) -> None:
    name = await room.forwarded()
    first = await room.removal.remove_copies([name], NOW, EXPIRES)
    again = await room.removal.remove_copies([name], LATER, EXPIRES)
    assert first == again


async def test_what_a_person_deleted_stays_as_he_left_it_when_its_copy_is_removed(room: Room) -> None:
    name = await room.forwarded()
    await room.delete(name)
    assert await room.removal.remove_copies([name], NOW, EXPIRES) == []
    letter = await room.now(name)
    assert (letter["binned"]["reason"], letter["removals"], "copy_due" in letter) == ("user", 1, False)


async def test_10_copies_whose_event_got_lost_are_found_by_the_mark(room: Room) -> None:
    name = await room.forwarded()
    assert await room.removal.copies_due(NOW - timedelta(seconds=1), 10) == []
    assert [letter["_id"] for letter in await room.removal.copies_due(NOW, 10)] == [name]


@pytest.mark.parametrize("state", ["pending", "in_flight", "deferred"])
async def test_4_purge_and_expiry_never_match_what_is_unfinished(room: Room, state: str) -> None:
    name = await _in_state(room, state)
    binned = {"reason": "user", "at": NOW, "expires_at": NOW, "forward_was": state}
    change = {"$set": {"binned": binned, "removals": 1}, "$unset": {"unnumbered": "", "news": ""}}
    await room.database["letters"].update_one({"_id": name}, change)
    assert await room.removal.expired(AFTER, 10) == []
    assert await room.removal.purge([await room.now(name)], AFTER) == {}
    assert "gone" not in await room.now(name)


async def test_what_nobody_has_been_told_of_is_not_purged(room: Room) -> None:
    name = await room.put_new()
    await room.delete(name)
    assert await room.removal.expired(AFTER, 10) == []
    assert await room.removal.purge([await room.now(name)], AFTER) == {}
    await room.tell_marks()
    assert [letter["_id"] for letter in await room.removal.expired(AFTER, 10)] == [name]


async def test_what_is_not_in_the_bin_is_not_purged(room: Room) -> None:
    name = await room.forwarded()
    assert await room.removal.purge([await room.now(name)], AFTER) == {}


async def _purge(room: Room, *names: str) -> None:
    gone = await room.removal.purge([await room.now(name) for name in names], AFTER)
    await room.bodies.release(gone)
    await room.removal.released([name for ids in gone.values() for name in ids])


async def _binned(room: Room, **fields: str) -> str:
    name = await room.put_new(**fields)
    await room.delete(name)
    await room.tell_marks()
    return name


async def test_a_purged_letter_leaves_a_gravestone_and_no_body(room: Room) -> None:
    name = await _binned(room)
    receipt = name[:26]
    await _purge(room, name)
    assert set(await room.now(name)) == {"_id", "gone"}
    assert await room.letters.get(name) is None
    with pytest.raises(BodyMissing):
        await room.bodies.raw(receipt)


async def test_2_a_body_stays_while_another_letter_uses_it(room: Room) -> None:
    receipt = a_letter()["receipt_id"]
    ann, bob = a_letter("ann@x.test", receipt_id=receipt), a_letter("bob@x.test", receipt_id=receipt)
    await room.bodies.insert([(receipt, b"both", [ann["_id"], bob["_id"]])], origin={receipt: (0, 0)})
    await room.letters.insert([ann, bob])
    await room.delete(ann["_id"])
    await room.tell_marks()
    await _purge(room, ann["_id"])
    assert await room.bodies.raw(receipt) == b"both"
    await room.delete(bob["_id"])
    await room.tell_marks()
    await _purge(room, bob["_id"])
    assert await room.bodies.raws([receipt]) == {}


async def test_3_a_record_that_comes_again_does_not_raise_the_dead(room: Room) -> None:
    letter = a_letter()
    (name,) = await room.put(letter)
    await room.delete(name)
    await room.tell_marks()
    await _purge(room, name)
    await room.bodies.insert([(letter["receipt_id"], b"raw\n", [name])], origin={letter["receipt_id"]: (0, 0)})
    assert await room.letters.insert([letter]) == {name}
    assert await room.letters.gone([name]) == [(name, letter["receipt_id"])]
    await room.bodies.release({letter["receipt_id"]: [name]})
    assert set(await room.now(name)) == {"_id", "gone"}
    assert await room.bodies.raws([letter["receipt_id"]]) == {}


async def test_2_a_body_that_a_crash_left_unreleased_is_found_by_its_gravestone(room: Room) -> None:
    name = await _binned(room)
    gone = await room.removal.purge([await room.now(name)], AFTER)
    assert await room.removal.holding(10) == gone == {name[:26]: [name]}
    await room.bodies.release(gone)
    await room.removal.released([name])
    assert await room.removal.holding(10) == {}


async def test_3_a_gravestone_stays_as_long_as_its_record_can_come_again(room: Room) -> None:
    low, high = await _binned(room), await _binned(room)
    offset = (await room.now(high))["offset"]
    await _purge(room, low, high)
    assert await room.removal.forget_gravestones(0, offset) == 1
    assert await room.removal.forget_gravestones(1, offset + 1) == 0, "of another partition"
    assert await room.removal.forget_gravestones(0, offset + 1) == 1


async def test_3_a_gravestone_that_still_holds_a_body_is_not_forgotten(room: Room) -> None:
    name = await _binned(room)
    await room.removal.purge([await room.now(name)], AFTER)
    assert await room.removal.forget_gravestones(0, 10**9) == 0
    await room.bodies.release({name[:26]: [name]})


async def test_13_a_letter_known_to_have_left_is_buried_before_its_record_comes(room: Room) -> None:
    seen = await room.put_new()
    unseen = a_letter()
    buried = {seen: (seen[:26], 0), unseen["_id"]: (unseen["receipt_id"], 0)}
    await room.removal.bury_unseen(buried, NOW)
    assert "gone" not in await room.now(seen), "a letter that the database has is not buried"
    assert await room.letters.insert([unseen]) == {unseen["_id"]}


async def test_expiry_takes_the_longest_expired_first(room: Room) -> None:
    names = [await room.put_new() for _ in range(3)]
    for number, name in enumerate(names):
        ends = EXPIRES - timedelta(hours=number)
        await room.removal.delete(name, reason="user", now=NOW, expires_at=ends)
    await room.tell_marks()
    assert [letter["_id"] for letter in await room.removal.expired(EXPIRES, 2)] == [names[2], names[1]]


def test_a_letter_for_the_same_receipt_and_mailbox_has_the_same_id() -> None:
    receipt = a_letter()["receipt_id"]
    assert a_letter("ann@x.test", receipt_id=receipt)["_id"] == letter_id(receipt, "ann@x.test")
