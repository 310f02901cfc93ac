"""What is asked of the brokers themselves: are they there, and would they forget where a consumer was?"""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from shared.bus.producer import BusUnavailable
from shared.settings import Common

_OFFSETS_RETENTION = "offsets.retention.minutes"


async def answers(settings: Common, *, within_seconds: float) -> bool:
    """Whether a broker tells what the cluster consists of."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        async with asyncio.timeout(within_seconds):
            await client.start()
            return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


async def offsets_retention_minutes(settings: Common) -> int:
    """How long the broker remembers the position of a group that is away. Raises BusUnavailable."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        async with asyncio.timeout(20):
            await client.start()
            node = (await client.describe_cluster())["controller_id"]
            wanted = ConfigResource(ConfigResourceType.BROKER, str(node), {_OFFSETS_RETENTION: None})
            entries = (await client.describe_configs([wanted]))[0].resources[0][4]
            return int(next(entry[1] for entry in entries if entry[0] == _OFFSETS_RETENTION))
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusUnavailable(f"no broker answers: {error}") from error
    finally:
        await client.close()


async def committed(settings: Common, *, service: str, topic: str) -> dict[int, int]:
    """How far the group of `service` has come in `topic`, by partition. Raises BusUnavailable."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    name = settings.topic_prefix + topic
    try:
        async with asyncio.timeout(20):
            await client.start()
            found = await client.list_consumer_group_offsets(settings.topic_prefix + service)
            return {place.partition: at.offset for place, at in found.items() if place.topic == name and at.offset >= 0}
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusUnavailable(f"no broker answers: {error}") from error
    finally:
        await client.close()
