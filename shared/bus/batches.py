"""Many records to one topic, in batches: no future, timer or task for a record, which cost more than the record.

One batch is under way at a time; the next fills meanwhile and goes as soon as the answer is there, so a lone record
never waits for others. That also bounds what is asked of the broker at once, to BATCH_BYTES or one large record: a
request larger than the broker takes (`socket.request.max.bytes`, 100 MiB by default) would be tried again for ever.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aiokafka.producer.message_accumulator import BatchBuilder

from shared import logs
from shared.bus.producer import BusUnavailable, Headers, Producer

log = logs.get("bus")


class Waiter(Protocol):
    """Who has put a record."""

    def settled(self, error: BusUnavailable | None) -> None:
        """Called once, at the deadline at the latest. None: every in-sync replica has the record."""

    def let_go(self) -> None:
        """Called once: the bytes are held no longer. Maybe long after the deadline."""


class Batch:
    """Records of one partition, and who waits for them."""

    def __init__(self, records: BatchBuilder, partition: int, within_seconds: float) -> None:
        self.records = records
        self.partition = partition
        self.is_late = False
        self._waiters: list[Waiter] = []
        self._deadline = asyncio.get_running_loop().call_later(within_seconds, self._give_up)

    def take(self, key: bytes, value: bytes, headers: Headers, waiter: Waiter) -> bool:
        """False where there is no room for it; the first always has."""
        if self.records.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return False
        self._waiters.append(waiter)
        return True

    def settle(self, error: BusUnavailable | None) -> None:
        """The last thing known of it: nothing is held any longer."""
        self._deadline.cancel()
        for waiter in self._waiters:
            if not self.is_late:
                waiter.settled(error)
            waiter.let_go()

    def _give_up(self) -> None:
        """Time is up: nobody waits any longer, though the records may still reach the log."""
        self.is_late = True
        for waiter in self._waiters:
            waiter.settled(BusUnavailable("no answer in time"))


class Batches:
    """Takes records and sends them in batches while `run` runs."""

    def __init__(
        self, producer: Producer, topic: str, choose_partition: Callable[[], int], *, within_seconds: float
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._choose_partition = choose_partition
        self._within_seconds = within_seconds
        self._waiting: deque[Batch] = deque()
        self._has_some = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def silent(self) -> bool:
        """Whether the broker is known to be down."""
        return self._producer.silent

    def put(self, key: str, value: bytes, headers: Headers, waiter: Waiter) -> None:
        """Publish a record; `waiter` is told.

        The deadline is that of the batch, so that of the first record in it.

        Raises:
            BusUnavailable: not connected, or known to be silent. `waiter` is not told.
        """
        if self.silent:
            raise BusUnavailable("known to be silent")
        name = key.encode()
        if not (self._waiting and self._waiting[-1].take(name, value, headers, waiter)):
            self._begin_batch().take(name, value, headers, waiter)

    async def emptied(self) -> None:
        """Wait until all that was put is settled."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Send what is put, until cancelled."""
        while True:
            await self._has_some.wait()
            batch = self._waiting.popleft()
            if not self._waiting:
                self._has_some.clear()
            await self._send(batch)
            if not self._waiting:
                self._is_empty.set()

    def _begin_batch(self) -> Batch:
        batch = Batch(self._producer.new_batch(), self._choose_partition(), self._within_seconds)
        self._waiting.append(batch)
        self._has_some.set()
        self._is_empty.clear()
        return batch

    async def _send(self, batch: Batch) -> None:
        if batch.is_late:
            # Everybody was told that it is not kept.
            batch.settle(None)
            return
        try:
            await self._producer.publish_batch(self._topic, batch.records, batch.partition)
        except BusUnavailable as error:
            batch.settle(error)
        except Exception as error:
            # A fault of ours must not leave anybody waiting.
            log.exception("batch_failed")
            batch.settle(BusUnavailable(type(error).__name__))
        else:
            batch.settle(None)
