"""The producer while the broker comes and goes, on a broker of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.kafka import Kafka
from shared.bus.producer import BusUnavailable, Message, Producer
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


async def _publish(producer: Producer, key: str, *, within: float = 10) -> None:
    await producer.publish("stored", key=key, value=b"fact", partition=0, within_seconds=within)


@contextlib.asynccontextmanager
async def _away(kafka: Kafka) -> AsyncIterator[None]:
    """The broker is stopped during the block."""
    await asyncio.to_thread(kafka.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(kafka.start)


async def _is_silent(producer: Producer) -> bool:
    return producer.silent


async def _keys(scope: Scope) -> list[str]:
    found: list[str] = []
    async with Tail(scope.settings(Common), ["stored"]) as tail:
        await tail.from_beginning()
        async for batch in tail.batches(wait_seconds=1):
            if not batch:
                return found
            found += [record.key for record in batch]
    return found


async def test_a_published_record_is_in_the_log(scope: Scope, producer: Producer) -> None:
    await _publish(producer, "a")
    await producer.publish_all([Message("stored", key, b"fact", 1) for key in ("b", "c")], within_seconds=10)
    assert sorted(await _keys(scope)) == ["a", "b", "c"]


async def test_while_the_broker_is_away_each_publish_ends_at_its_deadline_and_works_again_afterwards(
    kafka: Kafka, scope: Scope
) -> None:
    producer = Producer(scope.settings(Common), "test", silence_seconds=1)
    await producer.start()
    await until(lambda: _published(producer, "before"), what="the first record")
    assert not await _is_silent(producer)
    async with _away(kafka):
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            with pytest.raises(BusUnavailable):
                await _publish(producer, "away", within=1)
        assert asyncio.get_running_loop().time() - began < 5
        assert await _is_silent(producer)
    await until(lambda: _published(producer, "after"), within=60, what="a record after the broker's return")
    assert not await _is_silent(producer)
    await producer.stop()
    assert {"before", "after"} <= set(await _keys(scope))


async def _published(producer: Producer, key: str) -> bool:
    try:
        await _publish(producer, key, within=2)
    except BusUnavailable:
        return False
    return True


async def test_a_frozen_broker_is_known_to_be_silent_and_known_to_be_back(kafka: Kafka, scope: Scope) -> None:
    producer = Producer(scope.settings(Common), "test", silence_seconds=1)
    await producer.start()
    await until(lambda: _published(producer, "before"), what="the first record")
    kafka.pause()
    try:
        for _ in range(2):
            with pytest.raises(BusUnavailable):
                await _publish(producer, "frozen", within=1)
        assert await _is_silent(producer)
    finally:
        kafka.resume()
    await until(lambda: _published(producer, "after"), within=60, what="a record after the thaw")
    assert not await _is_silent(producer)
    await producer.stop()


async def test_a_producer_started_without_a_broker_connects_when_there_is_one(kafka: Kafka, scope: Scope) -> None:
    producer = Producer(scope.settings(Common), "test", silence_seconds=1)
    async with _away(kafka):
        await producer.start()
        with pytest.raises(BusUnavailable):
            await _publish(producer, "away", within=1)
        await until(lambda: _is_silent(producer), what="the silence to be known")
    await until(lambda: _published(producer, "there"), within=60, what="a record")
    await producer.stop()


async def test_stopping_while_the_broker_is_away_ends(kafka: Kafka, scope: Scope) -> None:
    producer = Producer(scope.settings(Common), "test")
    await producer.start()
    await until(lambda: _published(producer, "before"), what="the first record")
    async with _away(kafka):
        with pytest.raises(BusUnavailable):
            await _publish(producer, "away", within=0.5)
        async with asyncio.timeout(10):
            await producer.stop()
