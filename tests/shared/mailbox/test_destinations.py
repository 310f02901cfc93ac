"""What waits for whom, and letters that lie in the wrong place."""

from shared.mailbox.clock import Clock
from shared.mailbox.destinations import Destinations
from shared.mailbox.forwarders import Forwarders, Unregistered
from shared.mailbox.positions import Positions
from shared.settings import Common
from tests.kit.letters import LATER, NOW, TARGET, Room, a_letter

OTHER = "other.example.test:25"


async def test_due_letters_are_those_of_the_named_destinations_and_partitions(room: Room) -> None:
    here = await room.put_new(partition=3)
    await room.put(
        a_letter(partition=4), a_letter(partition=3, destination=OTHER), a_letter(partition=3, due=LATER), a_letter()
    )
    found = await Destinations(room.database).due([TARGET], [3], NOW, 10, pending_until=NOW)
    assert [letter["_id"] for letter in found] == [here]


async def test_what_waits_is_counted_by_destination(room: Room) -> None:
    await room.put(a_letter(), a_letter(received_at=LATER), a_letter(destination=OTHER), a_letter(destination=None))
    await room.forwarded()
    await room.claimed(token="another")
    destinations = Destinations(room.database)
    waiting = {row.destination: (row.letters, row.oldest_at) for row in await destinations.waiting()}
    assert waiting == {TARGET: (2, NOW), OTHER: (1, NOW)}
    assert await destinations.in_flight() == {TARGET: 1}


async def test_12_a_changed_target_refiles_what_waits_and_nothing_else(room: Room) -> None:
    pending, parked, forwarded = await room.put_new(), await room.claimed(), await room.forwarded(token="2")
    await room.end(parked, "park")
    assert await Destinations(room.database).refile("ann@example.test", OTHER, NOW) == 2
    filed = [(await room.now(name))["forward"]["destination"] for name in (pending, parked, forwarded)]
    assert filed == [OTHER, OTHER, TARGET]


async def test_5_a_forwarder_beats_until_its_document_is_gone(room: Room) -> None:
    forwarders = Forwarders(room.database)
    await forwarders.register("one", "host")
    await forwarders.beat("one")
    assert [(beat.forwarder, beat.beats) for beat in await forwarders.beats()] == [("one", 1)]
    await forwarders.unregister("one")
    try:
        await forwarders.beat("one")
    except Unregistered:
        return
    raise AssertionError("a forwarder that was taken over must hear of it")


async def test_13_a_position_never_goes_back(room: Room) -> None:
    positions = Positions(room.database)
    await positions.note({0: 10, 1: 5}, NOW)
    await positions.note({0: 7, 1: 6}, LATER)
    assert {partition: offset for partition, (offset, _) in (await positions.noted()).items()} == {0: 10, 1: 6}


async def test_the_clock_is_the_databases_and_can_be_moved_in_tests(room: Room) -> None:
    plain, moved = Clock(room.database, Common()), Clock(room.database, Common(test_clock=True))
    await moved.move(3600)
    await plain.read()
    await moved.read()
    assert 3590 < (moved.now() - plain.now()).total_seconds() < 3610
