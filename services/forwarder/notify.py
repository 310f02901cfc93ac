"""Tells senders that a letter of theirs failed: looks for what is owed in the partitions that this forwarder holds, and
writes the notices, which then go out as letters do."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta

from prometheus_client import Counter

from services.forwarder import notice
from services.forwarder.notice import Failure
from shared import logs
from shared.announcer import Announcer
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.letters import Letter
from shared.mailbox.notices import Notice, Notices, notice_of, notice_receipt_id
from shared.settings import Forwarder
from shared.target import TargetServer

log = logs.get("notify")

NOTICES = Counter("understudy_notices_total", "Notices of failure written to senders")
EACH_SECONDS = 1.0
BATCH = 50


class Notify:
    """Writes notices, to be handed to `relay`. `partitions` says which are held now."""

    def __init__(
        self,
        settings: Forwarder,
        relay: TargetServer,
        notices: Notices,
        bodies: Bodies,
        announcer: Announcer,
        clock: Clock,
        partitions: Callable[[], frozenset[int]],
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._notices = notices
        self._bodies = bodies
        self._announcer = announcer
        self._clock = clock
        self._partitions = partitions

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            full = False
            try:
                full = await self.look() == BATCH
            except MailboxUnavailable as error:
                log.warning("notices_wait", error=str(error))
            except Exception:
                # A fault of ours here must not stop the forwarding of mail.
                log.exception("notices_failed")
            if not full:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EACH_SECONDS)

    async def look(self) -> int:
        """Answer a batch of what is owed; returns how many letters that were. Raises MailboxUnavailable."""
        letters = await self._notices.due(self._partitions(), self._clock.now(), BATCH)
        if not letters:
            return 0
        heads = await self._bodies.heads([letter["receipt_id"] for letter in letters], notice.MOST_HEADER_BYTES)
        written = [(letter, self._write(letter, heads.get(letter["receipt_id"], b""))) for letter in letters]
        await self._notices.settle([letter for letter, one in written if one is None])
        await self._send([one for _, one in written if one is not None])
        return len(letters)

    def _write(self, letter: Letter, head: bytes) -> Notice | None:
        """None: there can be no notice of it. It stays parked, for administrators to see."""
        if not notice.is_answerable(letter["sender"]):
            log.warning("notice_impossible", letter_id=letter["_id"], sender=letter["sender"])
            return None
        try:
            raw = notice.build(self._failure(letter, head))
        except Exception:
            # A fault of ours in telling of one letter must not hold up what is to be told of the others.
            log.exception("notice_failed", letter_id=letter["_id"])
            return None
        return notice_of(letter, raw, self._relay.name, self._clock.now())

    async def _send(self, notices: Sequence[Notice]) -> None:
        new = await self._notices.send(notices)
        # Those of a writing that a crash cut short, too: their event may not be told yet.
        self._announcer.announce_soon([one.document["_id"] for one in notices])
        NOTICES.inc(len(new))
        for one in notices:
            if one.document["_id"] in new:
                log.info("notice_written", letter_id=one.document["_id"], of=one.of["_id"], recipient=one.of["sender"])

    def _failure(self, letter: Letter, head: bytes) -> Failure:
        forward = letter["forward"]
        history, last = forward.get("history"), forward["last"]
        lifetime = timedelta(days=self._settings.lifetime_days)
        return Failure(
            receipt_id=notice_receipt_id(letter["_id"], forward["arming"]),
            hostname=self._settings.hostname,
            sender=letter["sender"],
            recipient=letter["address"],
            remote=forward["destination"].rpartition(":")[0],
            received_at=letter["received_at"],
            # When it was parked, not when we came to it: written again, the notice is the same.
            failed_at=letter["notice_due"],
            tried_at=history[-1]["at"] if history else None,
            code=last["code"],
            text=last["text"],
            is_expired=letter["notice_due"] - forward["armed_at"] >= lifetime,
            is_unknown=forward["unknown"] > 0,
            head=head,
        )
