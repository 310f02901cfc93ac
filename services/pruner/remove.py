"""`forwarded` -> the local copy goes to the bin -> `deleted`. Nobody else takes a forwarded copy away."""

from collections.abc import Sequence
from datetime import timedelta

from shared import logs
from shared.announcer import DELETED
from shared.bus.consumer import Record
from shared.bus.producer import Message, Producer
from shared.events import Forwarded
from shared.failpoints import failpoint
from shared.mailbox import facts
from shared.mailbox.clock import Clock
from shared.mailbox.removal import Removal

log = logs.get("remove")

PUBLISH_SECONDS = 20.0


def decode(record: Record) -> Forwarded:
    """Raises EventError."""
    return Forwarded.from_json(record.value)


class Remove:
    """Takes the copies of delivered letters away, a batch at a time."""

    def __init__(self, removal: Removal, producer: Producer, clock: Clock, bin_hours: float) -> None:
        self._removal = removal
        self._producer = producer
        self._clock = clock
        self._kept_for = timedelta(hours=bin_hours)

    async def apply(self, told: Sequence[Forwarded]) -> None:
        """Raises MailboxUnavailable, BusUnavailable: then all of it is done again. What an earlier time had removed
        is told again, under the same event ids."""
        ids = [event.letter_id for event in told if event.outcome == "delivered"]
        if not ids:
            return
        now = self._clock.now()
        failpoint("pruner.before_remove")
        removed = await self._removal.remove_copies(ids, now, now + self._kept_for)
        failpoint("pruner.before_publish")
        messages = [
            Message("deleted", letter["_id"], facts.copy_removed(letter).to_json(), letter["partition"])
            for letter in removed
        ]
        await self._producer.publish_all(messages, within_seconds=PUBLISH_SECONDS)
        DELETED.labels("forwarded").inc(len(removed))
        for letter in removed:
            log.info("copy_removed", letter_id=letter["_id"], address=letter["address"])
