"""`received` -> letters in mailboxes -> `stored`. Doing it twice changes nothing: ids are derived from the receipt.

A batch is four round trips, whatever its size: users, bodies, letters, position. Only then is it told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from shared import logs
from shared.bus.consumer import Record
from shared.bus.producer import Message, Producer
from shared.events import EventError, Received
from shared.failpoints import failpoint
from shared.letter import Mode, letter_id
from shared.mailbox import facts
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.letters import EVENT_GRACE, INBOX, Letter, Letters, new_letter
from shared.mailbox.positions import Positions
from shared.mailbox.users import POSTMASTER, User, Users
from shared.moments import from_rfc3339

log = logs.get("intake")

STORED = Counter("understudy_stored_total", "Letters put into mailboxes")
PUBLISH_SECONDS = 20.0
# What a main server may be told of who handed a letter in.
_CLIENT = ("address", "name", "helo")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One record of `received`: a letter's bytes and facts, and where it stands in the topic."""

    partition: int
    offset: int
    raw: bytes
    facts: Received


def decode(record: Record) -> Receipt:
    """Raises EventError."""
    if record.value is None:
        raise EventError("received: no letter")
    facts_of = Received.from_json(record.headers.get("facts"))
    try:
        from_rfc3339(facts_of.received_at)
    except ValueError:
        raise EventError("received: received_at is no time") from None
    return Receipt(record.partition, record.offset, record.value, facts_of)


class Intake:
    """Puts receipts into mailboxes."""

    def __init__(
        self, users: Users, letters: Letters, bodies: Bodies, positions: Positions, producer: Producer, clock: Clock
    ) -> None:
        self._users = users
        self._letters = letters
        self._bodies = bodies
        self._positions = positions
        self._producer = producer
        self._clock = clock

    async def take_in(self, receipts: Sequence[Receipt]) -> None:
        """Raises MailboxUnavailable, BusUnavailable: then all of it is done again."""
        users = await self._users.by_address(address for r in receipts for address in r.facts.recipients)
        copies = {receipt.facts.receipt_id: self._copies(receipt, users) for receipt in receipts}
        await self._keep_bodies(receipts, copies)
        letters = [letter for receipt in receipts for letter in copies[receipt.facts.receipt_id]]
        failpoint("store.before_letters")
        known = await self._letters.insert(letters)
        gone = await self._release_gone(sorted(known)) if known else set()
        failpoint("store.before_publish")
        await asyncio.gather(
            self._positions.note(_ends(receipts), self._clock.now()),
            self._tell([letter for letter in letters if letter["_id"] not in gone]),
        )
        STORED.inc(len(letters) - len(known))
        for letter in letters:
            if letter["_id"] not in known:
                log.info("letter_stored", letter_id=letter["_id"], address=letter["address"])

    def _copies(self, receipt: Receipt, users: dict[str, User]) -> list[Letter]:
        """A letter for each mailbox that the receipt is for; one whose user is gone goes to the postmaster's."""
        mailboxes = dict.fromkeys(a if a in users else POSTMASTER for a in receipt.facts.recipients)
        return [self._letter(receipt, address, users.get(address)) for address in mailboxes]

    def _letter(self, receipt: Receipt, address: str, user: User | None) -> Letter:
        told, now = receipt.facts, self._clock.now()
        mode = user.mode if user is not None else Mode.STORE_ONLY
        target = user.target if user is not None and mode.forwards else None
        return new_letter(
            letter_id=letter_id(told.receipt_id, address),
            receipt_id=told.receipt_id,
            address=address,
            partition=receipt.partition,
            offset=receipt.offset,
            folder=None if mode is Mode.FORWARD_ONLY else INBOX,
            mode=str(mode),
            destination=target.name if target is not None else None,
            size=len(receipt.raw),
            received_at=from_rfc3339(told.received_at),
            sender=told.sender,
            spam=told.spam,
            now=now,
            due=now + EVENT_GRACE,
            client={name: told.client[name] for name in _CLIENT if told.client.get(name)} or None,
        )

    async def _keep_bodies(self, receipts: Sequence[Receipt], copies: dict[str, list[Letter]]) -> None:
        failpoint("store.before_bodies")
        # A receipt may stand twice in a batch: the broker was told again by a producer that got no answer.
        once = {receipt.facts.receipt_id: receipt for receipt in receipts}
        await self._bodies.insert(
            [(name, receipt.raw, [letter["_id"] for letter in copies[name]]) for name, receipt in once.items()],
            origin={name: (receipt.partition, receipt.offset) for name, receipt in once.items()},
        )

    async def _release_gone(self, known: list[str]) -> set[str]:
        """A record that comes again must not raise the dead (design rule 3), nor leave them a body."""
        released: dict[str, list[str]] = {}
        for letter, receipt in await self._letters.gone(known):
            released.setdefault(receipt, []).append(letter)
        await self._bodies.release(released)
        return {letter for letters in released.values() for letter in letters}

    async def _tell(self, letters: Sequence[Letter]) -> None:
        now = self._clock.now()
        messages = [
            Message("stored", letter["_id"], facts.stored(letter, "received", now).to_json(), letter["partition"])
            for letter in letters
        ]
        await self._producer.publish_all(messages, within_seconds=PUBLISH_SECONDS)


def _ends(receipts: Sequence[Receipt]) -> dict[int, int]:
    ends: dict[int, int] = {}
    for receipt in receipts:
        ends[receipt.partition] = max(ends.get(receipt.partition, 0), receipt.offset + 1)
    return ends
