"""Records put in batches: everyone is told once, at the deadline at the latest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.kafka import Kafka
from shared.bus.batches import Batches
from shared.bus.consumer import Record
from shared.bus.producer import BATCH_BYTES, BusUnavailable, Producer
from shared.bus.tail import Tail
from shared.settings import Common
from tests.kit.patience import until
from tests.kit.scope import Scope


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
async def scope(kafka: Kafka, mongodb_url: str) -> AsyncIterator[Scope]:
    scope = Scope.new(kafka.bootstrap, mongodb_url)
    await scope.make_topics()
    yield scope
    await scope.drop()


class Waiter:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[BusUnavailable | None] = []
        self.times_let_go = 0

    def settled(self, error: BusUnavailable | None) -> None:
        self.told.append(error)

    def let_go(self) -> None:
        self.times_let_go += 1

    async def is_let_go(self) -> bool:
        return self.times_let_go > 0


@contextlib.asynccontextmanager
async def running(producer: Producer, *, within_seconds: float = 10.0) -> AsyncIterator[Batches]:
    batches = Batches(producer, "stored", lambda: 3, within_seconds=within_seconds)
    task = asyncio.create_task(batches.run())
    try:
        yield batches
    finally:
        task.cancel()


def put(batches: Batches, *keys: str, value: bytes = b"fact") -> list[Waiter]:
    waiters = [Waiter() for _ in keys]
    for key, waiter in zip(keys, waiters, strict=True):
        batches.put(key, value, [("name", key.encode())], waiter)
    return waiters


async def _records(scope: Scope) -> list[Record]:
    found: list[Record] = []
    async with Tail(scope.settings(Common), ["stored"]) as tail:
        await tail.from_beginning()
        async for batch in tail.batches(wait_seconds=1):
            if not batch:
                break
            found += batch
    return found


async def test_what_is_put_is_in_the_log_in_its_order_and_on_the_partition_that_was_chosen(
    scope: Scope, producer: Producer
) -> None:
    keys = [f"{number:03d}" for number in range(500)]
    async with running(producer) as batches:
        waiters = put(batches, *keys[:1])
        await asyncio.sleep(0)
        waiters += put(batches, *keys[1:])
        await batches.emptied()
    assert all(waiter.told == [None] and waiter.times_let_go == 1 for waiter in waiters)
    records = await _records(scope)
    assert [(record.key, record.partition, record.headers["name"].decode()) for record in records] == [
        (key, 3, key) for key in keys
    ]


async def test_a_record_larger_than_a_batch_goes_alone_and_holds_up_nobody(scope: Scope, producer: Producer) -> None:
    async with running(producer) as batches:
        waiters = put(batches, "before")
        waiters += put(batches, "large-1", "large-2", value=bytes(3 * BATCH_BYTES))
        waiters += put(batches, "after")
        await batches.emptied()
    assert [waiter.told for waiter in waiters] == [[None]] * 4
    assert [record.key for record in await _records(scope)] == ["before", "large-1", "large-2", "after"]


async def test_a_record_that_the_broker_refuses_is_told_and_the_next_is_taken(scope: Scope, producer: Producer) -> None:
    async with running(producer) as batches:
        (refused,) = put(batches, "refused", value=bytes(scope.settings(Common).max_message_bytes + 5 * 1024 * 1024))
        (taken,) = put(batches, "taken")
        await batches.emptied()
    assert [type(error) for error in refused.told] == [BusUnavailable]
    assert taken.told == [None]
    assert not producer.silent


async def test_while_the_broker_is_frozen_all_are_told_at_the_deadline_and_once(kafka: Kafka, scope: Scope) -> None:
    producer = Producer(scope.settings(Common), "test", silence_seconds=2)
    await producer.start()
    await until(lambda: _is_connected(producer), what="the connection")
    async with running(producer, within_seconds=1) as batches:
        put(batches, "before")
        await batches.emptied()
        kafka.pause()
        try:
            under_way = put(batches, "under way")
            await asyncio.sleep(0.1)
            behind = put(batches, "behind", "behind, too")
            await asyncio.sleep(1.5)
            assert [type(error) for waiter in under_way + behind for error in waiter.told] == [BusUnavailable] * 3
            assert [waiter.times_let_go for waiter in under_way] == [0]
            await asyncio.sleep(1)
            with pytest.raises(BusUnavailable):
                put(batches, "known to be silent")
        finally:
            kafka.resume()
        await until(behind[0].is_let_go, within=30, what="the end of what was held")
        (after,) = put(batches, "after")
        await batches.emptied()
    await producer.stop()
    assert after.told == [None]
    assert all(len(waiter.told) == waiter.times_let_go == 1 for waiter in under_way + behind)
    # Nobody was promised what had not been sent, and so it was not.
    assert [record.key for record in await _records(scope)] == ["before", "under way", "after"]


async def _is_connected(producer: Producer) -> bool:
    return producer.connected


async def test_without_a_connection_nothing_is_taken(scope: Scope) -> None:
    producer = Producer(scope.settings(Common), "test")
    async with running(producer) as batches:
        with pytest.raises(BusUnavailable):
            put(batches, "early")
        await batches.emptied()
