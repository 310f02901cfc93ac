"""What to do when the database was put back to an older state: design rule 13.

The intake writes its position into the same database. If Kafka says that the store had come further, the database is
older than the topics: what `forwarded` and `deleted` told since then is laid down first, as gravestones or as moves of
letters that are there again, and only then is `received` read again from the noted position on.
"""

from datetime import timedelta

from shared import logs
from shared.bus.consumer import Consumer, Record
from shared.bus.tail import Tail
from shared.events import Deleted, EventError, Forwarded
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.settings import Store

log = logs.get("restored")

# Clocks of broker and database may differ, and events were published a little after the writes that they tell of.
MARGIN = timedelta(minutes=10)


class Restored:
    """Checks, as partitions are assigned, whether the database is older than the topics."""

    def __init__(self, settings: Store, positions: Positions, removal: Removal, claims: Claims, clock: Clock) -> None:
        self._settings = settings
        self._positions = positions
        self._removal = removal
        self._claims = claims
        self._clock = clock

    async def check(self, consumer: Consumer[object], partitions: frozenset[int]) -> None:
        """Raises MailboxUnavailable, BusUnavailable."""
        noted = await self._positions.noted()
        committed = await consumer.committed("received", partitions)
        behind = {p: noted[p][0] if p in noted else 0 for p, end in committed.items() if end > noted.get(p, (0,))[0]}
        if not behind:
            return
        log.warning("database_was_put_back", partitions=sorted(behind), positions=behind)
        times = [noted[p][1] for p in behind if p in noted]
        since = min(times) - MARGIN if len(times) == len(behind) else None
        await self._lay_down(frozenset(behind), int(since.timestamp() * 1000) if since else 0)
        consumer.go_back("received", behind)

    async def _lay_down(self, partitions: frozenset[int], since_ms: int) -> None:
        async with Tail(self._settings, ["forwarded", "deleted"]) as tail:
            await tail.from_time(since_ms)
            ends = await tail.ends()
            left = {(t, p) for t, places in ends.items() for p, end in places.items() if p in partitions and end > 0}
            async for batch in tail.batches():
                await self._apply([record for record in batch if record.partition in partitions])
                left -= {(r.topic, r.partition) for r in batch if r.offset + 1 >= ends[r.topic][r.partition]}
                if not batch or not left:
                    return

    async def _apply(self, records: list[Record]) -> None:
        """`forwarded` and `deleted` of letters that are there become moves, of others gravestones."""
        unseen: dict[str, tuple[str, int]] = {}
        for record in records:
            try:
                told = (Forwarded if record.topic == "forwarded" else Deleted).from_json(record.value)
            except EventError:
                continue
            if isinstance(told, Forwarded) and told.outcome != "delivered":
                continue
            unseen[told.letter_id] = (told.receipt_id, record.partition)
        now = self._clock.now()
        await self._removal.bury_unseen(unseen, now)
        for record in records:
            await self._move(record)

    async def _move(self, record: Record) -> None:
        now = self._clock.now()
        expires = now + timedelta(days=self._settings.bin_deleted_days)
        if record.topic == "deleted":
            told = Deleted.from_json(record.value)
            await self._removal.delete(told.letter_id, reason=told.reason, now=now, expires_at=expires, rule_id=told.rule_id)
            return
        forwarded = Forwarded.from_json(record.value)
        if forwarded.outcome == "delivered":
            await self._claims.told_delivered(forwarded.letter_id, forwarded.arming, forwarded.reply, now)
