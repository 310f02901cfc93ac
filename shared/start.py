"""Before a service begins: are the topics and the database as they have to be, so that no mail can be lost?"""

import asyncio
import contextlib

from shared import logs
from shared.bus import broker, topics
from shared.bus.producer import BusUnavailable
from shared.mailbox import indexes
from shared.mailbox.connect import Database, MailboxUnavailable
from shared.settings import Common

log = logs.get("start")


async def when_safe(settings: Common, database: Database | None, stop: asyncio.Event) -> bool:
    """Wait for broker and database, in any order of starting; check the topics, make the indexes that are missing.

    Returns False where `stop` was set before. Raises TopicsUnsafe where the topics could lose mail.
    """
    while not stop.is_set():
        try:
            await topics.check(settings)
            await _check_retention(settings)
            if database is not None:
                await indexes.create(database)
            return True
        except (BusUnavailable, MailboxUnavailable) as error:
            log.warning("waiting_to_start", error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)
    return False


async def _check_retention(settings: Common) -> None:
    """A broker that forgets where a consumer was, while that is away, would have it begin anew: refuse to start."""
    needed = settings.topic_retention_days * 24 * 60
    kept = await broker.offsets_retention_minutes(settings)
    if kept < needed:
        raise topics.TopicsUnsafe(f"the broker's offsets.retention.minutes is {kept}, at least {needed} expected")
