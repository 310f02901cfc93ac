"""The one producer. When `publish` returns, the record is on the broker as safely as the topic promises.

Not idempotent in Kafka's sense, by choice: every record carries an id derived from what it tells, every reader knows a
record told twice by that id, and aiokafka's idempotent producer never gives up on a batch while the broker is away
(its issue 1101), so that it would hold a letter's bytes, and refuse to stop, for as long as an outage lasts.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

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
# All partitions' batches for a broker go in one request, and a request that is larger than the broker takes
# (`socket.request.max.bytes`, 100 MiB) is tried again for ever. Small records are bounded by BATCH_BYTES for each
# partition; of large ones no more than this are handed over at a time.
LARGE_BYTES = 1024 * 1024
LARGE_IN_FLIGHT_BYTES = 56 * 1024 * 1024
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
        self._large_in_flight = 0
        self._large_settled = asyncio.Event()
        self._started_at = 0.0

    async def start(self) -> None:
        """Return at once; connect in the background, as often as it takes."""
        self._started_at = asyncio.get_running_loop().time()
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
        now = asyncio.get_running_loop().time()
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
        on_settled: Callable[[], None] | None = None,
    ) -> None:
        """Publish one record and wait until every in-sync replica has it.

        `on_settled` is called once, when the producer no longer holds the bytes: maybe long after the deadline.

        Raises:
            BusUnavailable: refused, or no answer within `within_seconds`.
        """
        message = Message(topic, key, value, partition, headers)
        try:
            async with asyncio.timeout(within_seconds):
                settled = await self._send(message, on_settled)
                await asyncio.shield(settled)
        except (TimeoutError, KafkaError) as error:
            raise BusUnavailable(f"{topic}: {type(error).__name__}") from error

    async def publish_all(self, messages: Iterable[Message], *, within_seconds: float) -> None:
        """Publish many and wait for all.

        Raises:
            BusUnavailable: at least one was refused or not answered in time; the caller publishes all again.
        """
        try:
            async with asyncio.timeout(within_seconds):
                sent = [await self._send(message, None) for message in messages]
                if sent:
                    await asyncio.wait(sent)
            for future in sent:
                future.result()
        except (TimeoutError, KafkaError) as error:
            raise BusUnavailable(type(error).__name__) from error

    async def _send(self, message: Message, on_settled: Callable[[], None] | None) -> asyncio.Future[object]:
        size = len(message.value) if len(message.value) > LARGE_BYTES else 0
        settled = partial(self._let_go, size, on_settled)
        try:
            await self._take_room(size)
        except BaseException:
            if on_settled is not None:
                on_settled()
            raise
        # Owed from here on: the library may wait for the broker before it takes the record.
        self._silence.owe(settled, asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(self._silence.seconds):
                future = await self._hand_over(message)
        except BaseException as error:
            self._settle(settled, error)
            settled()
            raise
        future.add_done_callback(lambda done: self._settle(settled, _trouble(done)))
        future.add_done_callback(settled)
        return future

    async def _take_room(self, size: int) -> None:
        while size and self._large_in_flight and self._large_in_flight + size > LARGE_IN_FLIGHT_BYTES:
            self._large_settled.clear()
            await self._large_settled.wait()
        self._large_in_flight += size

    def _let_go(self, size: int, on_settled: Callable[[], None] | None, _: object = None) -> None:
        """The producer no longer holds a record of that size."""
        if size:
            self._large_in_flight -= size
            self._large_settled.set()
        if on_settled is not None:
            on_settled()

    async def _hand_over(self, message: Message) -> asyncio.Future[object]:
        if self._kafka is None:
            raise BusUnavailable("not connected yet")
        topic = self._settings.topic_prefix + message.topic
        future: asyncio.Future[object] = await self._kafka.send(
            topic,
            message.value,
            key=message.key.encode(),
            partition=message.partition,
            headers=list(message.headers),
        )
        return future

    def _settle(self, record: object, error: BaseException | None) -> None:
        now = asyncio.get_running_loop().time()
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
                self._silence.hear(asyncio.get_running_loop().time())

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
                with contextlib.suppress(Exception):
                    await kafka.stop()
                await asyncio.sleep(0.5)
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


def _trouble(done: asyncio.Future[object]) -> BaseException | None:
    return asyncio.CancelledError() if done.cancelled() else done.exception()
