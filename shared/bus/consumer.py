"""The one consumer loop. Every service that follows a topic does so by this, and only here is an offset committed.

The order is: read a batch, have its effect, then commit. A crash anywhere before the commit brings the batch again, so
an effect must be able to happen twice. What fails:

- the world (broker, database away): the same batch is tried again for as long as it takes; nothing is skipped;
- a record that is no fact of ours: to the dead-letter topic, at once;
- a record that fails alone five times: to the dead-letter topic, with an alarm; it blocks nobody (design rule 14).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, RebalanceInProgressError
from aiokafka.protocol.group import LeaveGroupRequest
from prometheus_client import Counter, Gauge

from shared import logs
from shared.bus.producer import BusUnavailable, Headers, Producer
from shared.bus.topics import DEAD
from shared.events import TOPICS, EventError
from shared.failpoints import failpoint
from shared.rate import Rate
from shared.settings import Common

log = logs.get("bus")

SESSION_MS = 15_000
# How soon a member hears that the group changes: until the last has heard, nobody has the partitions that move.
HEARTBEAT_MS = 1_000
FETCH_BYTES = 8 * 1024 * 1024
TRIES_ALONE = 5
# A batch may have to wait for a database that is away for long; that must not cost the partitions.
LONGEST_EFFECT_MS = 24 * 3600 * 1000
# Without progress for so long while there is something to read: the library has stopped fetching (its issues 625,
# 847, 1154) and only a new process helps.
STALL_SECONDS = 60.0
PROBE_SECONDS = 3.0
# Reading a little later makes larger batches, and fewer round trips for each letter: from so many records a second on,
# by so many seconds. Counted as a rate, not by the batch: small batches that follow each other closely are what costs
# most. A lone letter never waits.
WINDOWS = ((250, 0.2), (50, 0.05), (0, 0.0))

LAG = Gauge("understudy_consumer_lag", "Records not yet consumed", ["topic", "service"])
DEAD_LETTERS = Counter("understudy_dead_letters_total", "Records sent to a dead-letter topic", ["topic"])
for _topic in TOPICS:
    DEAD_LETTERS.labels(_topic)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read. `topic` is without prefix."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: dict[str, bytes]
    timestamp_ms: int


Decode = Callable[[Record], T]
Handle = Callable[[Sequence[T]], Awaitable[None]]
Moved = Callable[[frozenset[int]], Awaitable[None]]


async def _nothing_moved(_: frozenset[int]) -> None:
    return None


class Consumer(Generic[T]):
    """Follows `topics` as a member of the group `service`, handing decoded batches to `handle`.

    `decode` raises EventError for what is no fact. `handle` raises one of `passing` for troubles of the world.
    `assigned` and `revoked` are told the partition numbers, `revoked` before they belong to anybody else.
    """

    def __init__(
        self,
        settings: Common,
        producer: Producer,
        *,
        service: str,
        topics: Sequence[str],
        decode: Decode[T],
        handle: Handle[T],
        passing: tuple[type[Exception], ...],
        assigned: Moved = _nothing_moved,
        revoked: Moved = _nothing_moved,
        most_records: int = 500,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._service = service
        self._topics = list(topics)
        self._decode = decode
        self._handle = handle
        self._passing: tuple[type[Exception], ...] = (*passing, BusUnavailable)
        self._assigned = assigned
        self._fresh: frozenset[int] = frozenset()
        # Set when nothing should be waited for any more: partitions have come, or we stop.
        self._wake = asyncio.Event()
        self._listener = _Listener(self, revoked)
        self._most_records = most_records
        self._kafka = self._new_client()
        self._working = asyncio.Lock()
        self._stop = asyncio.Event()
        self._last_progress = 0.0
        self._waiting_for_world = False
        self._joined = False
        self._rate = Rate()
        for topic in self._topics:
            LAG.labels(topic, service).set(0)

    @property
    def ready(self) -> bool:
        """Whether partitions were assigned."""
        return self._joined

    @property
    def alive(self) -> bool:
        """False once there has been something to read and no progress for a while, with the world in order."""
        if not self._joined or self._waiting_for_world or self._lag() == 0:
            return True
        return asyncio.get_running_loop().time() - self._last_progress < STALL_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then leave the group at once. Fails when progress has ended."""
        self._stop = stop
        await self._start()
        watch = asyncio.ensure_future(self._watch())
        stopping = asyncio.ensure_future(self._wake_at(stop))
        try:
            while not stop.is_set():
                watch.done() and watch.result()
                await self._one_batch()
        finally:
            watch.cancel()
            stopping.cancel()
            await self._leave()

    async def _leave(self) -> None:
        """Leave the group at once. In the middle of a rebalance the library would wait for all others first, the dead
        ones, too, and we would be counted on as one who has joined: there the broker is told on another connection."""
        coordinator, is_joining = self._kafka._coordinator, self._kafka._subscription.reassignment_in_progress
        leaving = asyncio.ensure_future(self._kafka.stop())
        # It has begun before the broker hears: a member that is sent away joins again, unless it is about to go.
        await asyncio.sleep(0)
        if coordinator is not None and coordinator.member_id and is_joining:
            goodbye = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._kafka._client.send(coordinator.coordinator_id, goodbye), 2)
        with contextlib.suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(leaving, 5)

    async def _start(self) -> None:
        while not self._stop.is_set():
            try:
                await self._kafka.start()
                break
            except (KafkaError, OSError) as error:
                log.warning("broker_unreachable", error=str(error))
                with contextlib.suppress(Exception):
                    await self._kafka.stop()
                self._kafka = self._new_client()
                await asyncio.sleep(0.5)
        prefix = self._settings.topic_prefix
        self._kafka.subscribe([prefix + topic for topic in self._topics], listener=self._listener)
        self._last_progress = asyncio.get_running_loop().time()

    async def _one_batch(self) -> None:
        if self._fresh and not await self._welcome():
            return
        try:
            found = await self._read()
        except KafkaError as error:
            log.warning("fetch_failed", error=str(error))
            await asyncio.sleep(0.5)
            return
        if self._fresh:
            # Partitions came while we were reading: their owner is told of them before of what they hold.
            for place, batch in found.items():
                self._kafka.seek(place, batch[0].offset)
            return
        self._measure()
        if not found:
            if self._lag() == 0:
                self._last_progress = asyncio.get_running_loop().time()
            return
        # A rebalance waits for the batch in hand, so that its offset is committed before the partition moves.
        async with self._working:
            records = [self._record(raw) for batch in found.values() for raw in batch]
            if await self._effect(records):
                await self._commit(found)
                self._last_progress = asyncio.get_running_loop().time()
        await asyncio.sleep(self._window(len(records)))

    async def _read(self) -> dict[TopicPartition, list[Any]]:
        """What there is within half a second; nothing where we are woken first, as in the middle of a rebalance, which
        would otherwise hold us until the last member has joined."""
        self._wake.clear()
        if self._fresh or self._stop.is_set():
            return {}
        reading = asyncio.ensure_future(self._kafka.getmany(timeout_ms=500, max_records=self._most_records))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait([reading, woken], return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else {}
        finally:
            reading.cancel()
            woken.cancel()
            await asyncio.wait([reading])

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    def _window(self, count: int) -> float:
        """How long to wait before the next batch."""
        rate = self._rate.count(count, asyncio.get_running_loop().time())
        return next(pause for least, pause in WINDOWS if rate >= least)

    async def _welcome(self) -> bool:
        """Tell the owner which partitions have come; False: the world did not let it take them, so again."""
        come, self._fresh = self._fresh, frozenset()
        try:
            await self._assigned(come)
        except self._passing as error:
            log.warning("waiting_for_the_world", topics=self._topics, error=f"{type(error).__name__}: {error}")
            self._fresh |= come
            await self._stopped_within(1.0)
            return False
        return True

    async def _effect(self, records: Sequence[Record]) -> bool:
        """Have the batch's effect. False: stopped or lost before it was had; it will come again."""
        items: list[tuple[Record, T]] = []
        for record in records:
            try:
                items.append((record, self._decode(record)))
            except EventError as error:
                if not await self._bury(record, str(error)):
                    return False
        if not items:
            return True
        done = await self._attempt([item for _, item in items])
        if done is not None:
            return done
        for record, item in items:
            if not await self._alone(record, item):
                return False
        return True

    async def _attempt(self, items: Sequence[T]) -> bool | None:
        """Hand `items` over until the world lets it be done. None: it failed for a reason of its own."""
        pause = 0.2
        while True:
            try:
                await self._handle(items)
            except self._passing as error:
                self._waiting_for_world = True
                log.warning("waiting_for_the_world", topics=self._topics, error=f"{type(error).__name__}: {error}")
                if await self._stopped_within(pause):
                    return False
                pause = min(pause * 2, 2.0)
            except Exception:
                self._waiting_for_world = False
                log.exception("batch_failed", topics=self._topics, records=len(items))
                return None
            else:
                self._waiting_for_world = False
                return True

    async def _alone(self, record: Record, item: T) -> bool:
        for attempt in range(TRIES_ALONE):
            done = await self._attempt([item])
            if done is not None:
                return done
            if await self._stopped_within(0.1 * 2**attempt):
                return False
        return await self._bury(record, "failed alone five times")

    async def _bury(self, record: Record, reason: str) -> bool:
        """Put `record` in the dead-letter topic with the reason; False: stopped before it was there."""
        log.error("dead_letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        origin: list[tuple[str, bytes]] = [
            ("reason", reason.encode()),
            ("service", self._service.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
        ]
        headers: Headers = [*record.headers.items(), *origin]
        while True:
            try:
                await self._producer.publish(
                    record.topic + DEAD,
                    key=record.key,
                    value=record.value or b"",
                    partition=0,
                    headers=headers,
                    within_seconds=20,
                )
            except BusUnavailable:
                if await self._stopped_within(1.0):
                    return False
            else:
                DEAD_LETTERS.labels(record.topic).inc()
                return True

    async def _commit(self, found: dict[TopicPartition, list[Any]]) -> None:
        """The one place where an offset is committed: after the effect, and naming each partition."""
        failpoint("bus.before_commit")
        ends = {place: batch[-1].offset + 1 for place, batch in found.items()}
        try:
            await self._kafka.commit(ends)
        except (CommitFailedError, RebalanceInProgressError, IllegalStateError) as error:
            # The partitions have moved: their new owner has the same effect again, which changes nothing.
            log.warning("commit_refused", error=type(error).__name__)
        except KafkaError as error:
            log.warning("commit_failed", error=str(error))

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def committed(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The group's committed next offset of each of `partitions` that has one. For `assigned`."""
        name = self._settings.topic_prefix + topic
        found = {number: await self._kafka.committed(TopicPartition(name, number)) for number in partitions}
        return {number: offset for number, offset in found.items() if offset is not None}

    def go_back(self, topic: str, offsets: dict[int, int]) -> None:
        """Read again from these offsets on. For `assigned`."""
        for number, offset in offsets.items():
            self._kafka.seek(TopicPartition(self._settings.topic_prefix + topic, number), offset)

    async def _watch(self) -> None:
        """End, with an error, once there has been no progress for so long that only a new process helps."""
        while self.alive:
            await asyncio.sleep(PROBE_SECONDS)
            now = asyncio.get_running_loop().time()
            # A broker that is away is no stall: the time counts from when it answers again.
            if now - self._last_progress > PROBE_SECONDS and not await self._broker_answers():
                self._last_progress = asyncio.get_running_loop().time()
        raise RuntimeError(f"{self._service}: no progress on {self._topics} for {STALL_SECONDS:.0f} s")

    async def _broker_answers(self) -> bool:
        places = list(self._kafka.assignment())
        if not places:
            return False
        try:
            await asyncio.wait_for(self._kafka.end_offsets(places[:1]), PROBE_SECONDS)
        except (KafkaError, TimeoutError, OSError):
            return False
        return True

    def _measure(self) -> None:
        for topic in self._topics:
            LAG.labels(topic, self._service).set(self._lag(topic))

    def _lag(self, topic: str | None = None) -> int:
        total = 0
        for place in self._kafka.assignment():
            if topic is None or place.topic == self._settings.topic_prefix + topic:
                end = self._kafka.highwater(place)
                state = self._kafka._subscription.subscription.assignment.state_value(place)
                if end is not None and state is not None and state.has_valid_position:
                    total += max(0, end - state.position)
        return total

    def _record(self, raw: Any) -> Record:
        return Record(
            raw.topic.removeprefix(self._settings.topic_prefix),
            raw.partition,
            raw.offset,
            (raw.key or b"").decode("utf-8", "replace"),
            raw.value,
            dict(raw.headers),
            raw.timestamp,
        )

    def _new_client(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=self._settings.topic_prefix + self._service,
            client_id=self._service,
            # The library's defaults lose mail: it would begin at the end and commit what was only read.
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            # One member holds the same numbers of every topic (design rule 15). Members are dynamic: a leave on
            # SIGTERM settles the group at once.
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=LONGEST_EFFECT_MS,
            rebalance_timeout_ms=30_000,
            fetch_max_bytes=4 * FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=500,
            metadata_max_age_ms=5_000,
            retry_backoff_ms=100,
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells a consumer's owner which partition numbers come and go."""

    def __init__(self, consumer: Consumer[Any], revoked: Moved) -> None:
        self._consumer = consumer
        self._revoked = revoked

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer._joined = False
        self._consumer._fresh = frozenset()
        if revoked:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await self._consumer._working.acquire()
                    self._consumer._working.release()
            await self._revoked(frozenset(place.partition for place in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer._joined = True
        self._consumer._last_progress = asyncio.get_running_loop().time()
        self._consumer._fresh = frozenset(place.partition for place in assigned)
        self._consumer._wake.set()
