"""Receipts into mailboxes: done twice is done once, nobody's letter is dropped, and the dead stay dead."""

from dataclasses import replace

from shared.bus.tail import Tail
from shared.events import Stored
from shared.letter import letter_id
from shared.mailbox.positions import Positions
from shared.mailbox.users import POSTMASTER, User
from tests.store.conftest import ANN, BEN, Desk, receipt


async def _told(desk: Desk) -> list[Stored]:
    """All of `stored`."""
    async with Tail(desk.settings, ["stored"]) as tail:
        await tail.from_beginning()
        found: list[Stored] = []
        async for batch in tail.batches(wait_seconds=1.0):
            if not batch:
                return found
            found += [Stored.from_json(record.value) for record in batch]
    return found


async def test_1_a_record_that_comes_again_makes_the_same_letter_and_the_same_event(desk: Desk) -> None:
    record = receipt()
    for _ in range(3):
        await desk.intake.take_in([record])
    assert await desk.room.database["letters"].count_documents({}) == 1
    assert await desk.room.database["bodies"].count_documents({}) == 1
    assert len({event.event_id for event in await _told(desk)}) == 1


async def test_a_letter_knows_who_handed_it_in_as_far_as_that_is_known(desk: Desk) -> None:
    told = {"address": "192.0.2.7", "name": None, "helo": "mx.example.org", "tls": None, "authenticated_as": None}
    record = receipt()
    known = replace(record, facts=replace(record.facts, client=told))
    unknown = receipt()
    await desk.intake.take_in([known, unknown])
    letter = await desk.room.now(letter_id(known.facts.receipt_id, ANN))
    assert letter["client"] == {"address": "192.0.2.7", "helo": "mx.example.org"}
    assert "client" not in await desk.room.now(letter_id(unknown.facts.receipt_id, ANN))


async def test_a_record_that_stands_twice_in_a_batch_is_one_letter(desk: Desk) -> None:
    record = receipt()
    await desk.intake.take_in([record, record])
    assert await desk.room.database["letters"].count_documents({}) == 1


async def test_2_a_body_lists_every_letter_that_uses_it_from_the_first(desk: Desk) -> None:
    await desk.users.add(_like_ann(await desk.users.get(ANN)))
    record = receipt(ANN, BEN)
    await desk.intake.take_in([record])
    body = await desk.room.database["bodies"].find_one({"_id": record.facts.receipt_id})
    assert body is not None
    assert sorted(body["letters"]) == sorted(letter_id(record.facts.receipt_id, who) for who in (ANN, BEN))


async def test_14_a_letter_whose_user_is_gone_goes_to_the_postmaster_and_is_not_forwarded(desk: Desk) -> None:
    record = receipt("gone@example.test", "gone-too@example.test")
    await desk.intake.take_in([record])
    letter = await desk.room.now(letter_id(record.facts.receipt_id, POSTMASTER))
    assert (letter["address"], letter["folder"], letter["forward"]["state"]) == (POSTMASTER, "INBOX", "none")
    assert await desk.room.database["letters"].count_documents({}) == 1


async def test_3_a_record_that_comes_again_after_the_purge_raises_nobody_and_leaves_no_body(desk: Desk) -> None:
    record = receipt()
    await desk.intake.take_in([record])
    name = letter_id(record.facts.receipt_id, ANN)
    await desk.room.delete(name)
    await desk.room.tell_marks()
    gone = await desk.room.removal.purge([await desk.room.now(name)], desk.clock.now())
    await desk.room.bodies.release(gone)
    told = len(await _told(desk))
    await desk.intake.take_in([record])
    assert "gone" in await desk.room.now(name)
    assert await desk.room.database["bodies"].count_documents({}) == 0
    assert len(await _told(desk)) == told, "nothing is told of the dead"


async def test_13_the_position_is_noted_behind_the_last_record_of_each_partition(desk: Desk) -> None:
    await desk.intake.take_in([receipt(partition=1, offset=4), receipt(partition=1, offset=5), receipt(partition=2)])
    noted = await Positions(desk.room.database).noted()
    assert {partition: offset for partition, (offset, _) in noted.items()} == {1: 6, 2: 1}


def _like_ann(ann: User | None) -> User:
    assert ann is not None
    return replace(ann, address=BEN)
