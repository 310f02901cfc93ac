"""The one producer. When `publish` returns, the record is on the broker as safely as the topic promises.

Not idempotent in Kafka's sense, by choice: every record carries an id derived from what it tells, every reader knows a
record told twice by that id, and aiokafka's idempotent producer never gives up on a batch while the broker is away
(its issue 1101), so that it would hold a letter's bytes, and refuse to stop, for as long as an outage lasts.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared import logs
from shared.bus.silence import Silence
from shared.settings import RECORD_OVERHEAD_BYTES, Common

log = logs.get("bus")

Headers = Sequence[tuple[str, bytes]]

# One request is in flight for each broker, so a batch fills while the one before it is under way (measured: 16 KB,
# the library's default, halves the rate). No linger: it would only make a lone letter wait.
BATCH_BYTES = 1024 * 1024
# After this long the library gives a batch up; its result is then unknown.
GIVE_UP_MS = 20_000
SILENCE_SECONDS = 5.0
LISTEN_SECONDS = 0.5
STOP_SECONDS = 5.0


class BusUnavailable(Exception):
    """The broker did not acknowledge in time, or refused. Whether the record is in the log is unknown."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be published."""

    topic: str
    key: str
    value: bytes
    partition: int
    headers: Headers = ()


class Producer:
    """Publishes records, and knows whether the broker answers at present."""

    def __init__(self, settings: Common, client_id: str, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._settings = settings
        self._client_id = client_id
        self._kafka: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._silence = Silence(silence_seconds)
        self._started_at = 0.0

    async def start(self) -> None:
        """Return at once; connect in the background, as often as it takes."""
        self._started_at = time.monotonic()
        self._connecting = asyncio.ensure_future(self._connect())
        self._listening = asyncio.ensure_future(self._listen())

    async def stop(self) -> None:
        """Send what is under way, for a few seconds at the most."""
        for task in (self._connecting, self._listening):
            if task is not None:
                task.cancel()
        if self._kafka is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self._kafka.stop(), STOP_SECONDS)

    @property
    def connected(self) -> bool:
        return self._kafka is not None

    @property
    def silent(self) -> bool:
        """Whether the broker is known to be down."""
        now = time.monotonic()
        if self._kafka is None:
            return now - self._started_at > self._silence.seconds
        return self._silence.is_known(now)

    async def publish(
        self,
        topic: str,
        *,
        key: str,
        value: bytes,
        partition: int,
        headers: Headers = (),
        within_seconds: float,
    ) -> None:
        """Publish one record and wait until every in-sync replica has it.

        Raises:
            BusUnavailable: refused, or no answer within `within_seconds`.
        """
        message = Message(topic, key, value, partition, headers)
        try:
            async with asyncio.timeout(within_seconds):
                settled = await self._send(message)
                await asyncio.shield(settled)
        except (TimeoutError, KafkaError) as error:
            raise BusUnavailable(f"{topic}: {type(error).__name__}") from error

    async def publish_all(self, messages: Iterable[Message], *, within_seconds: float) -> None:
        """Publish many and wait for all.

        Raises:
            BusUnavailable: at least one was refused or not answered in time; the caller publishes all again.
        """
        batches = self._batches_of(messages)
        try:
            async with asyncio.timeout(within_seconds):
                await asyncio.gather(*(self.publish_batch(*batch) for batch in batches))
        except TimeoutError as error:
            raise BusUnavailable(type(error).__name__) from error

    def _batches_of(self, messages: Iterable[Message]) -> list[tuple[str, BatchBuilder, int]]:
        """Topic, records and partition of each; a future and a timer for each record would cost more than it."""
        batches: list[tuple[str, BatchBuilder, int]] = []
        filling: dict[tuple[str, int], BatchBuilder] = {}
        for message in messages:
            place = (message.topic, message.partition)
            if place not in filling or not _has_taken(filling[place], message):
                filling[place] = self.new_batch()
                _has_taken(filling[place], message)
                batches.append((message.topic, filling[place], message.partition))
        return batches

    def new_batch(self) -> BatchBuilder:
        """An empty batch to be filled for `publish_batch`. Raises BusUnavailable: not connected yet."""
        return cast(BatchBuilder, self._connected_kafka.create_batch())

    async def publish_batch(self, topic: str, batch: BatchBuilder, partition: int) -> None:
        """Publish a batch and wait until every in-sync replica has it; whoever calls bounds their number and size.

        Ends when the producer no longer holds the bytes, which may take up to twice GIVE_UP_MS.

        Raises:
            BusUnavailable: refused, or no answer.
        """
        self._silence.owe(batch, time.monotonic())
        try:
            async with asyncio.timeout(self._silence.seconds):
                published = await self._connected_kafka.send_batch(
                    batch, self._settings.topic_prefix + topic, partition=partition
                )
            await published
        except BaseException as error:
            self._settle(batch, error)
            if isinstance(error, TimeoutError | KafkaError):
                raise BusUnavailable(f"{topic}: {type(error).__name__}") from error
            raise
        self._settle(batch, None)

    async def _send(self, message: Message) -> asyncio.Future[object]:
        # Owed from here on: the library may wait for the broker before it takes the record.
        owed = object()
        self._silence.owe(owed, time.monotonic())
        try:
            async with asyncio.timeout(self._silence.seconds):
                future = await self._hand_over(message)
        except BaseException as error:
            self._settle(owed, error)
            raise
        future.add_done_callback(lambda done: self._settle(owed, _trouble(done)))
        return future

    @property
    def _connected_kafka(self) -> AIOKafkaProducer:
        if self._kafka is None:
            raise BusUnavailable("not connected yet")
        return self._kafka

    async def _hand_over(self, message: Message) -> asyncio.Future[object]:
        topic = self._settings.topic_prefix + message.topic
        future: asyncio.Future[object] = await self._connected_kafka.send(
            topic,
            message.value,
            key=message.key.encode(),
            partition=message.partition,
            headers=list(message.headers),
        )
        return future

    def _settle(self, record: object, error: BaseException | None) -> None:
        now = time.monotonic()
        if error is None:
            self._silence.acknowledge(record, now)
        elif isinstance(error, TimeoutError | KafkaTimeoutError | KafkaConnectionError) or getattr(
            error, "retriable", False
        ):
            self._silence.fail(record, now)
        else:
            # The record itself was refused, or its sender has gone: that says nothing about the broker.
            self._silence.forget(record)

    async def _listen(self) -> None:
        """While the broker is silent, ask it now and then, so that nobody's letter has to find out."""
        while True:
            await asyncio.sleep(LISTEN_SECONDS)
            if self._kafka is not None and self.silent and await self._answers(self._kafka):
                self._silence.hear(time.monotonic())

    async def _answers(self, kafka: AIOKafkaProducer) -> bool:
        try:
            return bool(await asyncio.wait_for(kafka.client.force_metadata_update(), LISTEN_SECONDS * 4))
        except (TimeoutError, KafkaError):
            return False

    async def _connect(self) -> None:
        while True:
            kafka = self._new_client()
            try:
                await kafka.start()
            except (KafkaError, OSError) as error:
                log.warning("broker_unreachable", error=str(error))
                await _close(kafka)
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                await _close(kafka)
                raise
            else:
                self._kafka = kafka
                return

    def _new_client(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=False,
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=self._settings.max_message_bytes + RECORD_OVERHEAD_BYTES,
            request_timeout_ms=GIVE_UP_MS,
            retry_backoff_ms=100,
            metadata_max_age_ms=5_000,
        )


async def _close(kafka: AIOKafkaProducer) -> None:
    """One that has not come to start."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(kafka.stop(), LISTEN_SECONDS)


def _has_taken(batch: BatchBuilder, message: Message) -> bool:
    """False where there is no room for it; the first always has."""
    key, headers = message.key.encode(), list(message.headers)
    return batch.append(timestamp=None, key=key, value=message.value, headers=headers) is not None


def _trouble(done: asyncio.Future[object]) -> BaseException | None:
    return asyncio.CancelledError() if done.cancelled() else done.exception()
