"""Kafka and mongod of our own: what they were given is there after a stop and after kill -9."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pymongo
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.kafka import Kafka
from deploy.local.mongod import Mongod, what_is_missing

MIB = 1024 * 1024


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    with Kafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    with Mongod(tmp_path / "mongo") as server:
        yield server


async def make_topic(kafka: Kafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()


async def publish(kafka: Kafka, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", max_request_size=60 * MIB)
    await producer.start()
    await producer.send_and_wait("kept", value)
    await producer.stop()


async def read(kafka: Kafka, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        "kept", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=60 * MIB
    )
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_kafka_keeps_records_over_stop_and_kill(kafka: Kafka) -> None:
    await make_topic(kafka)
    await publish(kafka, b"before the stop")
    await asyncio.to_thread(kafka.stop)
    await asyncio.to_thread(kafka.start)
    await publish(kafka, b"before the kill")
    kafka.kill()
    await asyncio.to_thread(kafka.start)
    assert await read(kafka, 2) == [b"before the stop", b"before the kill"]


async def test_kafka_takes_the_largest_letter(kafka: Kafka) -> None:
    await make_topic(kafka)
    letter = os.urandom(1024) * (54 * 1024)
    await publish(kafka, letter)
    assert await read(kafka, 1) == [letter]


async def test_servers_listen_on_loopback_only(kafka: Kafka, mongod: Mongod) -> None:
    for server in (kafka, mongod):
        listeners = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert server.port in {c.laddr.port for c in listeners}
        assert all(c.laddr.ip in ("127.0.0.1", "::ffff:127.0.0.1") for c in listeners), listeners


def test_mongod_keeps_documents_over_stop_kill_and_another_port(mongod: Mongod) -> None:
    _documents(mongod).insert_one({"_id": 1})
    mongod.stop()
    mongod.start()
    _documents(mongod).insert_one({"_id": 2})
    mongod.kill()
    mongod.start()
    assert _documents(mongod).count_documents({}) == 2
    mongod.stop()
    with Mongod(mongod.folder) as elsewhere:
        assert elsewhere.port != mongod.port
        _documents(elsewhere).insert_one({"_id": 3})
        assert _documents(elsewhere).count_documents({}) == 3


def test_frozen_mongod_does_not_serve_until_it_goes_on(mongod: Mongod) -> None:
    mongod.pause()
    assert not mongod.is_serving()
    mongod.resume()
    assert mongod.is_serving()


def test_missing_library_is_named_with_its_package() -> None:
    said = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file"
    line = what_is_missing(said)
    assert "libcurl.so.4" in line
    assert "apt-get install libssl3 libcurl4" in line
    assert "UNDERSTUDY_MONGODB_URL" in line
    assert "\n" not in line


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Mongod(tmp_path / "mongo", taken.getsockname()[1])
        with pytest.raises(Exception, match=r"mongo ended with code \d+"):
            server.start()


def _documents(server: Mongod) -> "pymongo.collection.Collection[dict[str, object]]":
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(server.url, serverSelectionTimeoutMS=10_000)
    return client.get_database("d").get_collection("c", write_concern=pymongo.WriteConcern("majority", j=True))
