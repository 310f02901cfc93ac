"""What to do when the database was put back to an older state: design rule 13.

The intake writes its position into the same database. If Kafka says that the store had come further, the database is
older than the topics: what `forwarded` and `deleted` told since then is laid down first, as gravestones or as moves of
letters that are there again, and only then is `received` read again from the noted position on.
"""

from datetime import datetime, timedelta

from services.store.intake import Receipt
from shared import logs
from shared.bus.consumer import Consumer, Record
from shared.bus.tail import Tail
from shared.events import Deleted, EventError, Forwarded
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.folders import Folders
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.settings import Store

log = logs.get("restored")

# Clocks of broker and database may differ, and events were published a little after the writes that they tell of.
MARGIN = timedelta(minutes=10)


class Restored:
    """Checks, as partitions are assigned, whether the database is older than the topics."""

    def __init__(
        self,
        settings: Store,
        positions: Positions,
        removal: Removal,
        claims: Claims,
        folders: Folders,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._positions = positions
        self._removal = removal
        self._claims = claims
        self._clock = clock

    async def check(self, consumer: Consumer[Receipt], partitions: frozenset[int]) -> None:
        """Raises MailboxUnavailable, BusUnavailable."""
        noted = await self._positions.noted()
        committed = await consumer.committed("received", partitions)
        behind = {p: noted[p][0] if p in noted else 0 for p, end in committed.items() if end > noted.get(p, (0,))[0]}
        if not behind:
            return
        log.warning("database_was_put_back", partitions=sorted(behind), positions=behind)
        times = [noted[p][1] for p in behind if p in noted]
        since = min(times) - MARGIN if len(times) == len(behind) else None
        # Numbers may have been given since that the database does not know of any more.
        await self._folders.renew(self._clock.now())
        await self._lay_down(int(since.timestamp() * 1000) if since else 0)
        consumer.go_back("received", behind)

    async def _lay_down(self, since_ms: int) -> None:
        """Of all partitions: the database is one, and where nothing new came in since, letters left all the same."""
        async with Tail(self._settings, ["forwarded", "deleted"]) as tail:
            starts = await tail.from_time(since_ms)
            ends = await tail.ends()
            left = {
                (topic, number): end
                for topic, places in ends.items()
                for number, end in places.items()
                if starts[topic][number] < end
            }
            batches = tail.batches()
            while left:
                batch = await anext(batches)
                await self._apply(batch)
                for record in batch:
                    if record.offset + 1 >= left.get((record.topic, record.partition), 0):
                        left.pop((record.topic, record.partition), None)

    async def _apply(self, records: list[Record]) -> None:
        """`forwarded` and `deleted` of letters that are there become moves; of others, gravestones."""
        told = [(record.partition, event) for record in records if (event := _decoded(record)) is not None]
        now = self._clock.now()
        unseen = {event.letter_id: (event.receipt_id, partition) for partition, event in told}
        await self._removal.bury_unseen(unseen, now)
        for _, event in told:
            await self._move(event, now)

    async def _move(self, event: Forwarded | Deleted, now: datetime) -> None:
        if isinstance(event, Forwarded):
            await self._claims.told_delivered(event.letter_id, event.reply, now)
        elif event.reason == "forwarded":
            await self._claims.told_delivered(event.letter_id, {"code": 250, "text": ""}, now)
        else:
            expires = now + timedelta(days=self._settings.bin_deleted_days)
            await self._removal.delete(
                event.letter_id, reason=event.reason, now=now, expires_at=expires, rule_id=event.rule_id
            )


def _decoded(record: Record) -> Forwarded | Deleted | None:
    """The event, if it says that a letter left or is at the main server."""
    try:
        if record.topic == Deleted.TOPIC:
            return Deleted.from_json(record.value)
        forwarded = Forwarded.from_json(record.value)
    except EventError:
        return None
    return forwarded if forwarded.outcome == "delivered" else None
