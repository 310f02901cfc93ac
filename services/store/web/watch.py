"""Everybody who watches the topics through this process: one reader for all, each with a short queue of his own.

A watcher who comes back with the id of the last event that he saw goes on exactly there: he reads by himself until he
has caught up, and joins the others then. An id is the position in every partition.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared import logs
from shared.bus.consumer import Record
from shared.bus.producer import BusUnavailable
from shared.bus.tail import Positions, Tail
from shared.events import TOPICS
from shared.settings import Common

log = logs.get("watch")

# Events that a watcher may be behind before he is cut; he comes back with his last id.
QUEUE_EVENTS = 1000
# The reader goes on for a while when the last watcher has left: pages are reloaded.
LINGER_SECONDS = 30.0
_NAMES = tuple(TOPICS)


class BadEventId(ValueError):
    """This is no id of an event of ours."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it was read; `data` is its JSON."""

    topic: str
    partition: int
    offset: int
    data: bytes
    facts: dict[str, Any]


@dataclass(slots=True, eq=False)
class Watcher:
    """One who watches. None in the queue: it is over for him."""

    queue: asyncio.Queue[Heard | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_EVENTS))

    def hear(self, heard: Heard) -> bool:
        """False: he is too slow."""
        try:
            self.queue.put_nowait(heard)
        except asyncio.QueueFull:
            return False
        return True

    def cut(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Watch:
    """The one reader of the topics, for all watchers of this process."""

    def __init__(self, settings: Common) -> None:
        self._settings = settings
        self._watchers: set[Watcher] = set()
        self._positions: Positions = {}
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """It is over for every watcher."""
        self._is_closed = True
        self._cut_all()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def close_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self.close()

    async def follow(self, after: Positions | None) -> AsyncGenerator[tuple[Heard | None, Positions], None]:
        """Events, each with the positions behind it: from `after` on, or from now on. The first item has no event
        and comes once the watch stands: what happens after it will be seen.

        Ends when the process stops, or the watcher is too slow. Raises BusUnavailable.
        """
        watcher = Watcher()
        try:
            if after is None:
                positions = await self._join(watcher)
                yield None, positions
            else:
                async with Tail(self._settings, _NAMES) as tail:
                    positions = await _go_back(tail, after)
                    yield None, positions
                    async for heard in _read_up_to(tail, positions, await tail.ends()):
                        yield heard, positions
                    # Near enough: from here on it is queued, and only the gap before that is read alone.
                    async for heard in _read_up_to(tail, positions, await self._join(watcher)):
                        yield heard, positions
            async for heard in _queued(watcher):
                # The lone reader may have seen what is queued.
                if _move(positions, heard.topic, heard.partition, heard.offset):
                    yield heard, positions
        finally:
            self._watchers.discard(watcher)

    async def _join(self, watcher: Watcher) -> Positions:
        """Have `watcher` hear what comes from now on; returns where that begins."""
        async with self._starting:
            if self._is_closed:
                raise BusUnavailable("this process is stopping")
            if self._reader is None or self._reader.done():
                standing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._reader = asyncio.ensure_future(self._read(standing))
                await standing
        self._watchers.add(watcher)
        return {topic: dict(offsets) for topic, offsets in self._positions.items()}

    async def _read(self, standing: asyncio.Future[None]) -> None:
        """The one reader. Ends some time after the last watcher has left."""
        try:
            async with Tail(self._settings, _NAMES) as tail:
                self._positions = await tail.from_end()
                standing.set_result(None)
                await self._hand_out(tail)
        except BusUnavailable as error:
            log.warning("watch_broken", error=str(error))
            self._cut_all()
            if not standing.done():
                standing.set_exception(error)

    async def _hand_out(self, tail: Tail) -> None:
        now = asyncio.get_running_loop().time
        watched_at = now()
        async for records in tail.batches():
            for record in records:
                self._tell(record)
            if self._watchers:
                watched_at = now()
            elif now() - watched_at > LINGER_SECONDS and not self._starting.locked():
                # Without a pause between this and the look at the watchers, nobody can have joined in between.
                self._reader = None
                return

    def _tell(self, record: Record) -> None:
        _move(self._positions, record.topic, record.partition, record.offset)
        heard = _heard(record)
        if heard is None:
            return
        for watcher in [watcher for watcher in self._watchers if not watcher.hear(heard)]:
            log.warning("watcher_too_slow")
            watcher.cut()
            self._watchers.discard(watcher)

    def _cut_all(self) -> None:
        for watcher in self._watchers:
            watcher.cut()
        self._watchers.clear()


async def _queued(watcher: Watcher) -> AsyncIterator[Heard]:
    while (heard := await watcher.queue.get()) is not None:
        yield heard


async def _go_back(tail: Tail, after: Positions) -> Positions:
    """Seek `after`, as far as the topics still reach."""
    first, ends = await tail.from_beginning(), await tail.ends()
    return await tail.from_positions(
        {
            topic: {
                number: min(max(after.get(topic, {}).get(number, end), first[topic][number]), end)
                for number, end in numbers.items()
            }
            for topic, numbers in ends.items()
        }
    )


async def _read_up_to(tail: Tail, positions: Positions, goal: Positions) -> AsyncIterator[Heard]:
    """Read, moving `positions` along, until each has reached its goal."""
    if not _is_behind(positions, goal):
        return
    async for records in tail.batches(wait_seconds=0.2):
        for record in records:
            _move(positions, record.topic, record.partition, record.offset)
            if (heard := _heard(record)) is not None:
                yield heard
        if not _is_behind(positions, goal):
            return


def _is_behind(positions: Positions, goal: Positions) -> bool:
    return any(positions[topic][number] < end for topic, numbers in goal.items() for number, end in numbers.items())


def _move(positions: Positions, topic: str, partition: int, offset: int) -> bool:
    """Put the position behind a record. False: it was there already."""
    if positions[topic].get(partition, 0) > offset:
        return False
    positions[topic][partition] = offset + 1
    return True


def _heard(record: Record) -> Heard | None:
    """None: no event of ours. Of `received`, only the facts: the letter itself is nobody's business here."""
    data = record.headers.get("facts") if record.topic == "received" else record.value
    if data is None:
        return None
    try:
        facts = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return Heard(record.topic, record.partition, record.offset, data, facts) if isinstance(facts, dict) else None


def event_id(positions: Positions) -> str:
    """All positions in a few characters: for each topic how many, and each as a number of 7 bits a byte."""
    packed = bytearray()
    for topic in _NAMES:
        numbers = positions.get(topic, {})
        packed += _varint(len(numbers))
        for number in range(len(numbers)):
            packed += _varint(numbers[number])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def positions_of(text: str) -> Positions:
    """What `event_id` was made of. Raises BadEventId."""
    try:
        packed = iter(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        positions = {topic: {number: _unpacked(packed) for number in range(_unpacked(packed))} for topic in _NAMES}
    except (binascii.Error, ValueError, StopIteration, RuntimeError):
        raise BadEventId("Last-Event-ID is none of ours") from None
    if next(packed, None) is not None:
        raise BadEventId("Last-Event-ID is none of ours")
    return positions


def _varint(number: int) -> bytes:
    packed = bytearray()
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _unpacked(packed: Iterator[int]) -> int:
    number = shift = 0
    while True:
        byte = next(packed)
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return number
        if shift > 63:
            raise ValueError("too long a number")
