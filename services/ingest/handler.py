"""What becomes of a recipient and of a letter: who is known here, and whether the bus has it.

`take` says 250 only when the broker has acknowledged. Once it runs, a client that hangs up does not stop it: the letter
was whole.
"""

import asyncio
import time
from collections.abc import Callable

from aiosmtpd.smtp import Envelope, Session

from services.ingest import metrics, policy, received, replies
from services.ingest.budget import Share
from services.ingest.data import Fault, LetterReader
from services.ingest.received import Receipt
from services.ingest.recipients import Recipients, RecipientsUnavailable
from services.ingest.replies import Refused, Reply
from shared import logs
from shared.bus.batches import Batches
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


def letters_to(producer: Producer, settings: Ingest) -> Batches:
    """The way of letters to the bus, to be run."""
    loop = asyncio.get_running_loop()
    return Batches(
        producer,
        Received.TOPIC,
        lambda: int(loop.time() / PARTITION_SECONDS) % settings.partitions,
        within_seconds=max(settings.final_reply_seconds - _REPLY_SECONDS, settings.final_reply_seconds * 0.75),
    )


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

    def __init__(self, settings: Ingest, letters: Batches, recipients: Recipients) -> None:
        self._settings = settings
        self._letters = letters
        self._recipients = recipients
        self._receipts = received.Receipts()
        self._own_postmaster = policy.canonical(policy.POSTMASTER, settings.hostname)

    @property
    def bus_is_silent(self) -> bool:
        return self._letters.silent

    async def emptied(self) -> None:
        """Wait until every letter that was taken is settled."""
        await self._letters.emptied()

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

    def take(
        self,
        session: Session,
        transaction: Transaction,
        letter: LetterReader,
        share: Share,
        answer: Callable[[Reply], None],
    ) -> Reply | None:
        """Put the letter on the bus. None: `answer` is called once later, with 250 only when the letter is there."""
        receipt = self._receipts.new()
        value = letter.hand_over(self._received_header(session, transaction, receipt))
        size = len(value)
        share.shrink(size)
        facts = _facts(session, transaction, receipt, size)
        taken = _Taken(receipt.id, transaction, session.peer, size, share, answer)
        failpoint("ingest.before_publish")
        try:
            self._letters.put(receipt.id, value, [("facts", facts)], taken)
        except BusUnavailable as error:
            share.release()
            return taken.refused(error)
        return None

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


class _Taken:
    """A letter on its way to the bus, and who is to be answered."""

    __slots__ = ("_answer", "_began", "_client", "_receipt_id", "_share", "_size", "_transaction")

    def __init__(
        self,
        receipt_id: str,
        transaction: Transaction,
        client: str | None,
        size: int,
        share: Share,
        answer: Callable[[Reply], None],
    ) -> None:
        self._receipt_id = receipt_id
        self._transaction = transaction
        self._client = client
        self._size = size
        self._share = share
        self._answer = answer
        self._began = time.monotonic()

    def settled(self, error: BusUnavailable | None) -> None:
        self._answer(self._accepted() if error is None else self.refused(error))

    def let_go(self) -> None:
        self._share.release()

    def refused(self, error: BusUnavailable) -> Reply:
        """What is said where nobody knows whether it is there."""
        seconds = self._observed_seconds()
        log.warning("letter_not_taken", receipt_id=self._receipt_id, error=str(error), seconds=round(seconds, 3))
        return replies.BUS_UNAVAILABLE

    def _accepted(self) -> Reply:
        failpoint("ingest.after_publish")
        metrics.RECEIVED.inc()
        log.info(
            "letter_received",
            receipt_id=self._receipt_id,
            sender=self._transaction.mail_from,
            recipients=len(self._transaction.mailboxes),
            size=self._size,
            client=self._client,
            seconds=round(self._observed_seconds(), 4),
        )
        return replies.queued(self._receipt_id)

    def _observed_seconds(self) -> float:
        seconds = time.monotonic() - self._began
        metrics.FINAL_REPLY_SECONDS.observe(seconds)
        return seconds


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
