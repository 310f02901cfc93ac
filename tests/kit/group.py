"""Consumer groups as the broker has them, and where a test cannot wait for a killed member to be missed."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from tests.kit.scope import Scope


async def count_members(scope: Scope, service: str) -> int:
    """How many members the broker counts in a service's group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=scope.kafka_bootstrap)
    await admin.start()
    try:
        responses = await admin.describe_consumer_groups([scope.topic_prefix + service])
        return sum(len(described[5]) for response in responses for described in response.groups)
    finally:
        await admin.close()


async def expel_members(scope: Scope, service: str) -> None:
    """Take every member out of a service's group, all of them being dead: what the broker does of itself once their
    session of 15 s is over."""
    group = scope.topic_prefix + service
    admin = AIOKafkaAdminClient(bootstrap_servers=scope.kafka_bootstrap)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)
        for response in await admin.describe_consumer_groups([group]):
            for described in response.groups:
                for member in described[5]:
                    await admin._send_request(LeaveGroupRequest(group, member[0]), coordinator)
    except KafkaError as error:
        raise AssertionError(f"members of {group} could not be expelled: {error}") from error
    finally:
        await admin.close()
