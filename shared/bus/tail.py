"""Watching topics without taking part: no group, no commit; every watcher sees every record."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus.consumer import Record
from shared.bus.producer import BusUnavailable
from shared.settings import Common

# Next offset to read, by topic (without prefix) and partition.
Positions = dict[str, dict[int, int]]


class Tail:
    """Reads `topics` from their end, from their beginning, or from given positions, for the length of a block."""

    def __init__(self, settings: Common, topics: Sequence[str]) -> None:
        self._prefix = settings.topic_prefix
        self._topics = list(topics)
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=5_000,
            fetch_max_wait_ms=250,
        )
        self._places: list[TopicPartition] = []

    async def __aenter__(self) -> Self:
        """Raises BusUnavailable."""
        try:
            await asyncio.wait_for(self._kafka.start(), 20)
            await self._assign()
        except (KafkaError, OSError, TimeoutError) as error:
            await self._close()
            raise BusUnavailable(f"no broker answers: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        with contextlib.suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(self._kafka.stop(), 5)

    async def _assign(self) -> None:
        names = [self._prefix + topic for topic in self._topics]
        await self._kafka._client.set_topics(names)
        for name in names:
            numbers = self._kafka.partitions_for_topic(name)
            if not numbers:
                raise BusUnavailable(f"topic {name} does not exist")
            self._places += [TopicPartition(name, number) for number in sorted(numbers)]
        self._kafka.assign(self._places)

    async def from_end(self) -> Positions:
        """Begin with what comes from now on; returns where that is."""
        ends = await self._asked(self._kafka.end_offsets(self._places))
        return self._seek(ends)

    async def from_beginning(self) -> Positions:
        """Begin with the oldest record kept."""
        starts = await self._asked(self._kafka.beginning_offsets(self._places))
        return self._seek(starts)

    async def from_time(self, timestamp_ms: int) -> Positions:
        """Begin with the first record that the broker appended at `timestamp_ms` or later."""
        found = await self._asked(self._kafka.offsets_for_times(dict.fromkeys(self._places, timestamp_ms)))
        ends = await self._asked(self._kafka.end_offsets(self._places))
        return self._seek({place: hit.offset if (hit := found.get(place)) else ends[place] for place in self._places})

    async def from_positions(self, positions: Positions) -> Positions:
        """Go on where an earlier watcher was; partitions that it did not name begin at their end."""
        ends = await self._asked(self._kafka.end_offsets(self._places))
        wanted = {
            place: positions.get(place.topic.removeprefix(self._prefix), {}).get(place.partition, ends[place])
            for place in self._places
        }
        return self._seek(wanted)

    async def ends(self) -> Positions:
        """The offset after the last record of each partition, now."""
        return self._positions(await self._asked(self._kafka.end_offsets(self._places)))

    async def batches(self, *, wait_seconds: float = 0.5) -> AsyncIterator[list[Record]]:
        """Batches for ever; an empty one each `wait_seconds` in which nothing came.

        Raises:
            BusUnavailable: the broker refused.
        """
        while True:
            found = await self._asked(self._kafka.getmany(timeout_ms=int(wait_seconds * 1000), max_records=500))
            yield [self._record(raw) for batch in found.values() for raw in batch]

    async def _asked(self, question: Awaitable[Any]) -> Any:
        try:
            return await question
        except KafkaError as error:
            raise BusUnavailable(str(error)) from error

    def _seek(self, wanted: dict[TopicPartition, int]) -> Positions:
        for place, offset in wanted.items():
            self._kafka.seek(place, offset)
        return self._positions(wanted)

    def _positions(self, offsets: dict[TopicPartition, int]) -> Positions:
        positions: Positions = {topic: {} for topic in self._topics}
        for place, offset in offsets.items():
            positions[place.topic.removeprefix(self._prefix)][place.partition] = offset
        return positions

    def _record(self, raw: Any) -> Record:
        return Record(
            raw.topic.removeprefix(self._prefix),
            raw.partition,
            raw.offset,
            (raw.key or b"").decode("utf-8", "replace"),
            raw.value,
            dict(raw.headers),
            raw.timestamp,
        )
