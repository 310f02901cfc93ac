"""The one consumer loop, on a real broker: commit after the effect, and nothing blocks a partition for ever."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from shared.bus.consumer import TRIES_ALONE
from shared.bus.producer import Message, Producer
from shared.bus.tail import Tail
from shared.settings import Common
from tests.kit.group import count_members
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.shared.bus.conftest import Passing, Reader

Make = Callable[..., Reader]


async def _publish(producer: Producer, *keys: str, topic: str = "stored", value: bytes = b"fact") -> None:
    messages = [Message(topic, key, value, number % 12) for number, key in enumerate(keys)]
    await producer.publish_all(messages, within_seconds=10)


async def _dead(scope: Scope, topic: str = "stored") -> list[tuple[str, str]]:
    """What the dead-letter topic holds: (key, reason)."""
    found: list[tuple[str, str]] = []
    async with Tail(scope.settings(Common), [topic + ".dead"]) as tail:
        await tail.from_beginning()
        async for batch in tail.batches(wait_seconds=1):
            if not batch:
                return found
            found += [(record.key, record.headers["reason"].decode()) for record in batch]
    return found


async def test_what_was_there_before_and_what_comes_later_is_handed_over(producer: Producer, make_reader: Make) -> None:
    await _publish(producer, "a", "b")
    reader = make_reader()
    await reader.start()
    await reader.has("a", "b")
    await _publish(producer, "c")
    await reader.has("a", "b", "c")


async def test_after_a_stop_nothing_comes_again(producer: Producer, make_reader: Make) -> None:
    first, second = make_reader(), make_reader()
    await _publish(producer, "a", "b")
    await first.start()
    await first.has("a", "b")
    await first.stop()
    await _publish(producer, "c")
    await second.start()
    await second.has("c")


async def test_after_a_crash_before_the_commit_the_batch_comes_again(producer: Producer, make_reader: Make) -> None:
    await _publish(producer, "a")
    reached = asyncio.Event()

    def crash(_: Sequence[str]) -> None:
        reached.set()
        raise asyncio.CancelledError

    first, second = make_reader(before=crash), make_reader()
    await first.start()
    await asyncio.wait_for(reached.wait(), 20)
    await first.has_crashed()
    await second.start()
    await second.has("a")


async def test_a_passing_fault_is_tried_again_until_it_has_passed_and_nothing_is_skipped(
    scope: Scope, producer: Producer, make_reader: Make
) -> None:
    faults = iter([Passing()] * 7)

    def fail(_: Sequence[str]) -> None:
        fault = next(faults, None)
        if fault is not None:
            raise fault

    reader = make_reader(before=fail)
    await _publish(producer, "a", "b", "c")
    await reader.start()
    await reader.has("a", "b", "c")
    assert reader.consumer.alive
    assert await _dead(scope) == []


async def test_14_poison_goes_to_the_dead_letters_at_once_and_holds_nobody(
    scope: Scope, producer: Producer, make_reader: Make
) -> None:
    await _publish(producer, "bad", value=b"poison")
    await _publish(producer, "good")
    reader = make_reader()
    await reader.start()
    await reader.has("good")
    await until(lambda: _dead(scope), what="the dead letter")
    assert await _dead(scope) == [("bad", "poison is no fact")]


async def test_14_a_record_that_fails_alone_five_times_goes_to_the_dead_letters_and_holds_nobody(
    scope: Scope, producer: Producer, make_reader: Make
) -> None:
    tries: Counter[bool] = Counter()

    def fail(keys: Sequence[str]) -> None:
        if "bad" in keys:
            tries[len(keys) == 1] += 1
            raise RuntimeError("a fault of ours")

    await producer.publish_all([Message("stored", key, b"fact", 3) for key in ("a", "bad", "b")], within_seconds=10)
    reader = make_reader(before=fail)
    await reader.start()
    await reader.has("a", "b")
    assert await _dead(scope) == [("bad", "failed alone five times")]
    assert tries[True] >= TRIES_ALONE


async def test_15_each_member_holds_the_same_numbers_of_both_topics_and_all_are_held(
    scope: Scope, producer: Producer, make_reader: Make
) -> None:
    readers: list[Reader] = []
    for members in (1, 2, 5, 7, 12):
        while len(readers) < members:
            readers.append(make_reader(topics=("stored", "deleted")))
            await readers[-1].start()
        await until(lambda: _all_held(readers), within=60, what=f"12 partitions over {members} members")
        for reader in readers:
            by_topic = _numbers(reader)
            assert by_topic["stored"] == by_topic["deleted"] == reader.held
    await asyncio.gather(*(reader.stop() for reader in readers[:9]))
    await until(lambda: _all_held(readers[9:]), within=60, what="12 partitions over those that are left")


async def _all_held(readers: Sequence[Reader]) -> bool:
    held = [number for reader in readers for number in reader.held]
    return sorted(held) == list(range(12)) and all(_numbers(r)["stored"] == r.held for r in readers)


def _numbers(reader: Reader) -> dict[str, frozenset[int]]:
    places = reader.consumer._kafka.assignment()
    prefix = reader.scope.topic_prefix
    return {
        topic: frozenset(place.partition for place in places if place.topic == prefix + topic)
        for topic in ("stored", "deleted")
    }


async def test_a_member_that_leaves_is_not_waited_for(producer: Producer, make_reader: Make) -> None:
    first, second = make_reader(), make_reader()
    await first.start()
    await until(lambda: _all_held([first]), what="all partitions")
    await second.start()
    await until(lambda: _all_held([first, second]), what="a share for each")
    await first.stop()
    await until(lambda: _all_held([second]), within=8, what="all partitions, sooner than a session of 15 s ends")


async def test_a_member_that_leaves_while_a_dead_one_is_waited_for_is_gone_at_once(
    scope: Scope, make_reader: Make
) -> None:
    first, dead, newcomer = make_reader(), make_reader(), make_reader()
    await first.start()
    await dead.start()
    await until(lambda: _all_held([first, dead]), what="a share for each")
    await dead.consumer._kafka._coordinator._stop_heartbeat_task()
    await newcomer.start()

    async def is_joining() -> bool:
        return not first.held and await count_members(scope, "reader") == 3

    await until(is_joining, what="a rebalance that the dead one holds up")
    await first.stop()
    assert await count_members(scope, "reader") == 2, "the dead one, whose session is not over, and the newcomer"


async def test_a_lone_record_does_not_wait_and_many_come_in_batches(producer: Producer, make_reader: Make) -> None:
    reader = make_reader()
    await reader.start()
    await until(lambda: _all_held([reader]), what="all partitions")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await _publish(producer, "lone")
    await reader.has("lone")
    assert loop.time() - began < 1
    await _publish(producer, *(f"many {number}" for number in range(2000)))

    async def all_there() -> bool:
        return len(reader.handed) == 2001

    await until(all_there, what="2,000 records")
    assert len(reader.batches) < 200
