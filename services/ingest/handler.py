"""What becomes of a recipient and of a letter: who is known here, and whether the bus has it.

`take` says 250 only when the broker has acknowledged. Once it runs, a client that hangs up does not stop it: the letter
was whole.
"""

import asyncio
from collections.abc import Callable

from aiosmtpd.smtp import Envelope, Session

from services.ingest import metrics, policy, received, replies
from services.ingest.budget import Share
from services.ingest.data import Fault, LetterReader
from services.ingest.received import Receipt
from services.ingest.recipients import Recipients, RecipientsUnavailable
from services.ingest.replies import Refused, Reply
from shared import logs
from shared.bus.producer import BusUnavailable, Producer
from shared.events import Received
from shared.failpoints import failpoint
from shared.settings import Ingest

log = logs.get("ingest")

# Staying on one partition for a while makes one batch, and one sync of the broker's disk, out of many letters.
PARTITION_SECONDS = 0.05
# The broker's deadline ends before ours, by more than a busy machine takes to get round to the reply.
_REPLY_SECONDS = 3.0
_FAULTS = {
    Fault.TOO_BIG: replies.TOO_BIG,
    Fault.CR_DOT_CR: replies.BARE_CR_DOT,
    Fault.OUT_OF_MEMORY: replies.OUT_OF_MEMORY,
}


class Transaction(Envelope):
    """One letter on its way in: aiosmtpd's envelope, and what the client declared.

    `rcpt_tos` are as given; `mailboxes` are ours, each once, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.declared_bytes = 0
        self.mailboxes: dict[str, None] = {}


class Handler:
    """One for all sessions."""

    def __init__(self, settings: Ingest, producer: Producer, recipients: Recipients) -> None:
        self._settings = settings
        self._producer = producer
        self._recipients = recipients
        self._receipts = received.Receipts()
        self._within_seconds = max(settings.final_reply_seconds - _REPLY_SECONDS, settings.final_reply_seconds * 0.75)
        self._own_postmaster = policy.canonical(policy.POSTMASTER, settings.hostname)

    @property
    def bus_is_silent(self) -> bool:
        return self._producer.silent

    def mailbox(self, address: str) -> str | None:
        """The mailbox of `address`, if that is known without asking."""
        if address in self._recipients:
            return address
        return policy.POSTMASTER if address in (policy.POSTMASTER, self._own_postmaster) else None

    async def look_up(self, address: str) -> str:
        """The mailbox of an address that is not known. Raises Refused."""
        untagged = policy.without_tag(address, self._settings.subaddress_separator)
        candidates = [address] if untagged is None else [address, untagged]
        try:
            found = await self._recipients.ask(candidates)
        except RecipientsUnavailable:
            # user+tag@ could be a user of its own; with nobody to ask, the user without tag is who is meant.
            found = {known for known in candidates if known in self._recipients}
            if not found:
                raise Refused(replies.RECIPIENTS_UNAVAILABLE) from None
        for candidate in candidates:
            if candidate in found:
                return candidate
        raise Refused(replies.NO_SUCH_USER)

    def objection(self, letter: LetterReader) -> Reply | None:
        """Why a letter that has ended is refused."""
        if letter.fault is not None:
            return _FAULTS[letter.fault]
        if policy.count_received(letter.text) > self._settings.received_limit:
            return replies.LOOPING
        return None

    async def take(self, session: Session, transaction: Transaction, letter: LetterReader, share: Share) -> Reply:
        """Put the letter on the bus; the reply is 250 only when it is there."""
        clock = asyncio.get_running_loop().time
        began = clock()
        receipt = self._receipts.new()
        receipt_id = receipt.id
        value = letter.hand_over(self._received_header(session, transaction, receipt))
        share.shrink(len(value))
        facts = _facts(session, transaction, receipt, len(value))
        try:
            await self._publish(receipt_id, value, facts, share.release)
        except BusUnavailable as error:
            log.warning("letter_not_taken", receipt_id=receipt_id, error=str(error), seconds=round(clock() - began, 3))
            return replies.BUS_UNAVAILABLE
        finally:
            metrics.FINAL_REPLY_SECONDS.observe(clock() - began)
        metrics.RECEIVED.inc()
        log.info(
            "letter_received",
            receipt_id=receipt_id,
            sender=transaction.mail_from,
            recipients=len(transaction.mailboxes),
            size=len(value),
            client=session.peer,
            seconds=round(clock() - began, 4),
        )
        return replies.queued(receipt_id)

    async def _publish(self, receipt_id: str, value: bytes, facts: bytes, on_settled: Callable[[], None]) -> None:
        """Raises BusUnavailable."""
        if self._producer.silent:
            on_settled()
            raise BusUnavailable("known to be silent")
        failpoint("ingest.before_publish")
        await self._producer.publish(
            Received.TOPIC,
            key=receipt_id,
            value=value,
            partition=self._partition(),
            headers=[("facts", facts)],
            within_seconds=self._within_seconds,
            on_settled=on_settled,
        )
        failpoint("ingest.after_publish")

    def _partition(self) -> int:
        return int(asyncio.get_running_loop().time() / PARTITION_SECONDS) % self._settings.partitions

    def _received_header(self, session: Session, transaction: Transaction, receipt: Receipt) -> bytes:
        return received.header(
            helo=session.host_name or "",
            address=session.peer or "",
            hostname=self._settings.hostname,
            protocol=received.protocol(
                is_extended=session.extended_smtp, is_tls=session.ssl is not None, is_utf8=transaction.smtp_utf8
            ),
            receipt=receipt,
            recipient=transaction.rcpt_tos[0] if len(transaction.rcpt_tos) == 1 else None,
        )


def _facts(session: Session, transaction: Transaction, receipt: Receipt, size: int) -> bytes:
    return Received(
        event_id=f"{receipt.id}.received",
        at=receipt.at,
        receipt_id=receipt.id,
        received_at=receipt.at,
        sender=transaction.mail_from or "",
        recipients=list(transaction.mailboxes),
        client={
            "address": session.peer,
            "name": None,
            "helo": session.host_name,
            "tls": session.ssl["version"] if session.ssl else None,
            "authenticated_as": None,
        },
        size=size,
        spam=None,
    ).to_json()
