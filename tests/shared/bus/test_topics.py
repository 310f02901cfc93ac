"""Topics as they have to be, and refused where they could lose mail."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus import topics
from shared.bus.producer import BusUnavailable, Producer
from shared.bus.tail import Tail
from shared.settings import Common
from tests.kit.patience import until
from tests.kit.scope import Scope


async def test_topics_are_made_once_and_are_sound(scope: Scope) -> None:
    settings = scope.settings(Common)
    assert await topics.create(settings) == []
    await topics.check(settings)


async def test_missing_topics_are_named(scope: Scope) -> None:
    with pytest.raises(topics.TopicsUnsafe, match=r"missing: elsewhere\.deleted"):
        await topics.check(scope.settings(Common, topic_prefix="elsewhere."))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "3600000"),
        ("retention.bytes", "1000000"),
        ("cleanup.policy", "compact"),
        ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", "1000"),
        ("flush.messages", "1000"),
    ],
)
async def test_what_could_lose_mail_is_refused_by_name(scope: Scope, name: str, value: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=scope.kafka_bootstrap)
    await client.start()
    topic = scope.topic_prefix + "received"
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])
    await client.close()

    # The broker answers a little before it lists what it was told.
    async def refused() -> bool:
        try:
            await topics.check(scope.settings(Common))
        except topics.TopicsUnsafe as error:
            return name in str(error)
        return False

    await until(refused, within=10, what=f"a word about {name}")


async def test_another_number_of_partitions_is_refused(scope: Scope) -> None:
    with pytest.raises(topics.TopicsUnsafe, match="12 partitions, 24 expected"):
        await topics.check(scope.settings(Common, partitions=24))


async def test_without_a_broker_it_is_said_to_be_away() -> None:
    with pytest.raises(BusUnavailable):
        await topics.check(Common(kafka_bootstrap="127.0.0.1:1"))


async def test_trimming_takes_records_below_and_no_others(scope: Scope, producer: Producer) -> None:
    settings = scope.settings(Common)
    for number in range(5):
        await producer.publish("received", key=str(number), value=b"letter", partition=2, within_seconds=10)
    await topics.trim(settings, "received", {2: 3})
    async with Tail(settings, ["received"]) as tail:
        start = await tail.from_beginning()
        assert start["received"][2] == 3
        async for batch in tail.batches():
            assert [record.key for record in batch] == ["3", "4"]
            break


async def test_a_largest_letter_fits_in_a_record(scope: Scope, producer: Producer) -> None:
    settings = scope.settings(Common)
    letter = b"x" * settings.max_message_bytes
    await producer.publish("received", key="large", value=letter, partition=0, within_seconds=60)
    async with Tail(settings, ["received"]) as tail:
        await tail.from_beginning()
        async for batch in tail.batches():
            if batch:
                assert batch[0].value == letter
                break
