"""Marks: what began elsewhere than in an event is told once somebody finds the mark, and not forgotten before."""

from datetime import timedelta

from shared.mailbox import facts
from tests.kit.letters import LATER, NOW, TARGET, Room


async def test_a_mark_stands_for_its_event(room: Room) -> None:
    name = await room.put_new()
    await room.delete(name)
    (letter,) = await room.marks.older_than(NOW, 10)
    event = facts.of_mark(letter, letter["unannounced"][0])
    assert event.event_id == f"{name}.deleted.1"
    assert event.to_json() == facts.of_mark(letter, letter["unannounced"][0]).to_json(), "told twice, it is the same"


async def test_marks_are_found_oldest_first_and_not_before_their_time(room: Room) -> None:
    later, earlier = await room.put_new(), await room.put_new()
    for name, at in ((later, LATER), (earlier, NOW)):
        await room.removal.delete(name, reason="user", now=at, expires_at=LATER + timedelta(days=1))
    assert [letter["_id"] for letter in await room.marks.older_than(NOW, 10)] == [earlier]
    assert [letter["_id"] for letter in await room.marks.older_than(LATER, 10)] == [earlier, later]


async def test_clearing_takes_only_what_was_told(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "park", code=550)
    read_before = await room.marks.older_than(NOW, 10)
    await room.delete(name)
    await room.marks.clear(read_before)
    letter = await room.now(name)
    assert [mark["kind"] for mark in letter["unannounced"]] == ["deleted"]
    await room.marks.clear([letter])
    assert not {"unannounced", "unannounced_since"} & set(await room.now(name))


async def test_a_letter_armed_twice_carries_a_mark_for_each(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "park", code=550)
    await room.claims.rearm(name, TARGET, NOW)
    marks = (await room.now(name))["unannounced"]
    assert [(mark["kind"], mark["number"]) for mark in marks] == [("forwarded", 1), ("stored", 2)]
