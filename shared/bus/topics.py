"""The topics: made and checked by code, so that no broker's default can lose mail."""

import asyncio
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.bus.producer import BusUnavailable
from shared.events import TOPICS
from shared.settings import RECORD_OVERHEAD_BYTES, Common

DAY_MS = 24 * 3600 * 1000
DEAD = ".dead"


class TopicsUnsafe(Exception):
    """The topics, as they are, could lose mail. One line for each fault."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How a topic has to be."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def planned(settings: Common) -> list[TopicPlan]:
    """Every topic of ours, with its dead-letter topic."""
    plans = []
    for topic in TOPICS:
        plans.append(_plan(settings, topic, settings.partitions))
        plans.append(_plan(settings, topic + DEAD, 1))
    return plans


def _plan(settings: Common, topic: str, partitions: int) -> TopicPlan:
    # `received` has no end by time: the store trims it below what it has taken in (design rule 13).
    kept_ms = -1 if topic == "received" else settings.topic_retention_days * DAY_MS
    alone = settings.replication == 1
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(kept_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(settings.max_message_bytes + RECORD_OVERHEAD_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(max(1, settings.replication - 1)),
        "unclean.leader.election.enable": "false",
        # One broker alone does not sync before it acknowledges unless told to; several promise by replication.
        "flush.messages": "1" if alone else "9223372036854775807",
    }
    return TopicPlan(settings.topic_prefix + topic, partitions, settings.replication, config)


async def create(settings: Common) -> list[str]:
    """Make the topics that are missing; returns their names.

    Raises:
        BusUnavailable: the broker did not answer or refused.
    """
    async with _Admin(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [plan for plan in planned(settings) if plan.name not in existing]
        if missing:
            await _create(admin, missing)
    return [plan.name for plan in missing]


async def _create(admin: AIOKafkaAdminClient, plans: list[TopicPlan]) -> None:
    topics = [NewTopic(p.name, p.partitions, p.replication, topic_configs=p.config) for p in plans]
    response = await admin.create_topics(topics, timeout_ms=20_000)
    for name, code, *text in response.topic_errors:
        kind = for_code(code)
        if code and kind is not TopicAlreadyExistsError:
            raise BusUnavailable(f"cannot make topic {name}: {kind.__name__} {text[0] if text else ''}")


async def delete(settings: Common) -> None:
    """Take all our topics away, with what is in them. For tests."""
    async with _Admin(settings) as admin:
        await admin.delete_topics([plan.name for plan in planned(settings)])


async def check(settings: Common) -> None:
    """Compare the topics with what they have to be.

    Raises:
        TopicsUnsafe: a topic is missing, or set so that it could lose mail.
        BusUnavailable: the broker did not answer.
    """
    async with _Admin(settings) as admin:
        plans = planned(settings)
        existing = set(await admin.list_topics())
        missing = sorted(plan.name for plan in plans if plan.name not in existing)
        if missing:
            raise TopicsUnsafe(f"missing: {', '.join(missing)}; `understudy topics create` makes them")
        described = await admin.describe_topics([plan.name for plan in plans])
        found = {topic["topic"]: topic["partitions"] for topic in described}
        faults = [line for plan in plans for line in _partition_faults(plan, found[plan.name])]
        for plan, config in zip(plans, await _configs(admin, plans), strict=True):
            faults += _config_faults(plan, config)
    if faults:
        raise TopicsUnsafe("\n".join(faults))


async def _configs(admin: AIOKafkaAdminClient, plans: list[TopicPlan]) -> list[dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, plan.name) for plan in plans]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for resource in response.resources:
            found[resource[3]] = {entry[0]: entry[1] for entry in resource[4]}
    return [found[plan.name] for plan in plans]


def _partition_faults(plan: TopicPlan, partitions: list[dict[str, object]]) -> list[str]:
    if len(partitions) == plan.partitions:
        return []
    return [f"{plan.name}: {len(partitions)} partitions, {plan.partitions} expected"]


def _config_faults(plan: TopicPlan, config: dict[str, str]) -> list[str]:
    """What in `config` could lose mail. More than we ask for is no fault."""
    exact = ("cleanup.policy", "message.timestamp.type", "unclean.leader.election.enable")
    least = ("retention.ms", "retention.bytes", "max.message.bytes", "min.insync.replicas")
    faults = [
        f"{plan.name}: {name} is {config.get(name)}, {plan.config[name]} expected"
        for name in exact
        if config.get(name) != plan.config[name]
    ]
    faults += [
        f"{plan.name}: {name} is {config.get(name)}, at least {plan.config[name]} expected"
        for name in least
        if _endless(config.get(name)) < _endless(plan.config[name])
    ]
    if _endless(config.get("flush.messages")) > _endless(plan.config["flush.messages"]):
        faults.append(f"{plan.name}: flush.messages is {config.get('flush.messages')}, 1 expected on a single broker")
    return faults


def _endless(value: str | None) -> float:
    number = int(value or 0)
    return float("inf") if number == -1 else number


class _Admin:
    """An admin client for the length of a block; every trouble of Kafka's leaves as BusUnavailable."""

    def __init__(self, settings: Common) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=20_000)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await asyncio.wait_for(self._client.start(), 20)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._client.close()
            raise BusUnavailable(f"no broker answers: {error}") from error
        return self._client

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._client.close()
        if isinstance(error, KafkaError):
            raise BusUnavailable(str(error)) from error


async def trim(settings: Common, topic: str, before: dict[int, int]) -> None:
    """Delete the records of `topic` below an offset, for each partition (design rule 13).

    Raises:
        BusUnavailable: the broker did not answer or refused.
    """
    async with _Admin(settings) as admin:
        name = settings.topic_prefix + topic
        await admin.delete_records(
            {TopicPartition(name, number): RecordsToDelete(before_offset=end) for number, end in before.items()}
        )
