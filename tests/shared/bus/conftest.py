"""A producer on a corner of the shared broker, and consumers that note what they are handed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.bus.consumer import Consumer, Record
from shared.bus.producer import Producer
from shared.events import EventError
from shared.settings import Common
from tests.kit.patience import until
from tests.kit.scope import Scope


class Passing(Exception):
    """A trouble of the world, as far as these consumers are concerned."""


@dataclass(slots=True)
class Reader:
    """A consumer of `stored` (and `deleted`) whose handler may be told to fail."""

    scope: Scope
    producer: Producer
    topics: tuple[str, ...] = ("stored",)
    handed: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    held: frozenset[int] = frozenset()
    # Called with each batch before it is noted; may raise.
    before: Callable[[Sequence[str]], None] = lambda _: None
    consumer: Consumer[str] = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.consumer = Consumer(
            self.scope.settings(Common),
            self.producer,
            service="reader",
            topics=self.topics,
            decode=_decode,
            handle=self._handle,
            passing=(Passing,),
            assigned=self._assigned,
            revoked=self._revoked,
        )

    async def _handle(self, keys: Sequence[str]) -> None:
        self.before(keys)
        self.handed += keys
        self.batches.append(len(keys))

    async def _assigned(self, partitions: frozenset[int]) -> None:
        self.held = partitions

    async def _revoked(self, _: frozenset[int]) -> None:
        self.held = frozenset()

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self.consumer.run(self._stop))

    async def has(self, *keys: str, within: float = 30) -> None:
        """Wait until it was handed exactly these, in any order, repeats counted."""

        async def exactly() -> bool:
            return sorted(self.handed) == sorted(keys)

        await until(exactly, within=within, what=f"{sorted(keys)} handed, not {sorted(self.handed)}")

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, 20)

    async def has_crashed(self) -> None:
        """Wait for the end that its handler's error brought, without a commit."""
        assert self._task is not None
        await asyncio.wait([self._task], timeout=20)
        assert self._task.cancelled()


def _decode(record: Record) -> str:
    if record.value == b"poison":
        raise EventError("poison is no fact")
    return record.key


@pytest.fixture
async def producer(scope: Scope) -> AsyncIterator[Producer]:
    producer = Producer(scope.settings(Common), "test")
    await producer.start()

    async def connected() -> bool:
        return producer.connected

    await until(connected, what="a connection to the broker")
    yield producer
    await producer.stop()


@pytest.fixture
async def make_reader(scope: Scope, producer: Producer) -> AsyncIterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(**fields: Any) -> Reader:
        made.append(Reader(scope, producer, **fields))
        return made[-1]

    yield make
    for reader in made:
        with contextlib.suppress(asyncio.CancelledError):
            await reader.stop()
