"""The ledger of a test: what was answered 250 against where it is now. Every pipeline test ends with it.

Each letter that a sender was told 250 for is in a mailbox, in the bin, or at the main server. None whose delete was
answered `cancelled` is at the main server. None is there twice, unless the test names a fault that explains it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from shared.letter import State, letter_id
from shared.mailbox.users import POSTMASTER
from tests.kit import invariants
from tests.kit.api import target_of
from tests.kit.mainserver import MainServer
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.kit.sender import Sender

_OUR_HEADER = re.compile(rb"\AReceived:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")

# A query is a document, and holds 16 MB.
LETTERS_IN_A_QUERY = 20_000
_FIELDS = {"receipt_id": 1, "address": 1, "forward": 1, "binned": 1, "gone": 1, "notice": 1}


@dataclass(slots=True)
class Balance:
    """Where every letter is, by number; and what must not be, in words."""

    letters: int = 0
    at_main: int = 0
    in_mailbox: int = 0
    in_bin: int = 0
    gone: int = 0
    parked: int = 0
    cancelled: int = 0
    # Receipts whose sender was not told 250 and which came in all the same: he sends them again, as new receipts.
    unanswered: int = 0
    twice: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        names = ("letters", "at_main", "in_mailbox", "in_bin", "gone", "parked", "cancelled", "unanswered")
        numbers = ", ".join(f"{name} {getattr(self, name)}" for name in names)
        return f"{numbers}, twice {len(self.twice)}, faults {len(self.faults)}"


@dataclass(frozen=True, slots=True)
class _Expected:
    """One letter that must be somewhere: a receipt in one mailbox."""

    letter_id: str
    receipt_id: str
    address: str
    target: str

    @property
    def at_postmaster(self) -> str:
        """The id that the letter has where its user was gone when it came in (design rule 14)."""
        return letter_id(self.receipt_id, POSTMASTER)


class Ledger:
    """What a test has done, and the question what became of it."""

    def __init__(self, scope: Scope) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, str] = {}
        self._scope = scope
        self._database = scope.connect()

    async def settle(self, sender: Sender, *, within: float) -> None:
        """Wait until every answered letter is in the database and nothing is under way."""
        await self.arrive(sender, within=within)

        async def left() -> str:
            return await invariants.unfinished(self._database) or "nothing"

        async def quiet() -> bool:
            return await left() == "nothing"

        try:
            await until(quiet, within=within, pause=0.1)
        except AssertionError:
            raise AssertionError(f"after {within:.0f} s there is still {await left()}") from None

    async def arrive(self, sender: Sender, *, within: float = 60.0) -> None:
        """Wait until every answered letter is in the database."""
        missing = {expected.letter_id: expected.at_postmaster for expected in self._expected(sender)}
        what = f"the arrival of {len(missing)} letters"

        async def all_there() -> bool:
            some = list(islice(missing.items(), LETTERS_IN_A_QUERY))
            ids = [name for pair in some for name in pair]
            there = set(await self._database["letters"].distinct("_id", {"_id": {"$in": ids}}))
            for name, other in some:
                if name in there or other in there:
                    del missing[name]
            return not missing

        await until(all_there, within=within, pause=0.2, what=what)

    async def check(self, sender: Sender, main: MainServer, *, after: str | None) -> Balance:
        """Fail on any letter that is not where it must be; returns the balance."""
        balance = await self.balance(sender, main)
        assert not balance.faults, f"{balance}\n" + "\n".join(balance.faults[:20])
        assert after is not None or not balance.twice, f"{balance}\n" + "\n".join(balance.twice[:20])
        return balance

    async def check_database(self, *, is_idle: bool) -> None:
        """Fail where documents contradict each other or the table of states."""
        faults = await invariants.faults(self._database, is_idle=is_idle)
        assert not faults, f"{len(faults)} documents are wrong:\n" + "\n".join(faults[:20])

    async def documents(self, ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Letters and gravestones as the database has them, by id."""
        query = {} if ids is None else {"_id": {"$in": list(ids)}}
        return {document["_id"]: document async for document in self._database["letters"].find(query, _FIELDS)}

    async def balance(self, sender: Sender, main: MainServer) -> Balance:
        """Count, and note every fault."""
        balance = Balance()
        documents = await self.documents()
        counts = main.counts()
        expected = self._expected(sender)
        for one in expected:
            document = documents.get(one.letter_id) or documents.get(one.at_postmaster)
            self._place(one, document, counts, balance)
        self._compare_bytes(sender, main, balance)
        answered = {one.receipt_id for one in expected}
        others = {d["receipt_id"] for d in documents.values() if "gone" not in d} - answered
        balance.unanswered = len(others - {d["receipt_id"] for d in documents.values() if "notice" in d})
        strange = {receipt for receipt, _ in counts} - answered - others
        gone = {d["gone"]["receipt_id"] for d in documents.values() if "gone" in d}
        balance.faults += [f"{receipt} is at the main server and nobody knows it" for receipt in strange - gone]
        return balance

    def _expected(self, sender: Sender) -> list[_Expected]:
        return [
            _Expected(letter_id(sent.receipt_id, address), sent.receipt_id, address, self._target(address))
            for sent in sender.sent
            if sent.receipt_id is not None
            for address in dict.fromkeys(recipient.lower() for recipient in sent.letter.recipients)
        ]

    def _target(self, address: str) -> str:
        user = self.users.get(address)
        return str(user["target_address"]) if user and user.get("target_address") else target_of(address)

    def _place(
        self, one: _Expected, document: dict[str, Any] | None, counts: Counter[tuple[str, str]], balance: Balance
    ) -> None:
        times = counts[one.receipt_id, one.target]
        balance.letters += 1
        balance.at_main += times > 0
        self._count(document, balance)
        for fault in self._faults(one, document, times):
            balance.faults.append(f"{one.letter_id} {one.address}: {fault}")
        if times > 1:
            history = document.get("forward", {}).get("history", []) if document else []
            words = f"{one.letter_id}: {times} times at the main server; tries {history}"
            balance.twice.append(words)
            if document and "gone" not in document and times > 1 + _unknown(history):
                balance.faults.append(f"{words}: not explained by tries of unknown result")

    def _count(self, document: dict[str, Any] | None, balance: Balance) -> None:
        if document is None:
            return
        if "gone" in document:
            balance.gone += 1
            return
        balance.in_bin += "binned" in document
        balance.in_mailbox += "binned" not in document
        balance.parked += document["forward"]["state"] == State.PARKED
        balance.cancelled += document["forward"]["state"] == State.CANCELLED

    def _faults(self, one: _Expected, document: dict[str, Any] | None, times: int) -> Iterable[str]:
        if document is None:
            if not times:
                yield "answered 250 and nowhere"
            return
        if "gone" in document and not times and one.letter_id not in self.deleted:
            yield "purged, though nobody deleted it and the main server does not have it"
        if "gone" not in document and document["forward"]["state"] == State.FORWARDED and not times:
            yield "forwarded, says the database, and the main server does not have it"
        if self.deleted.get(one.letter_id) == "cancelled" and times:
            yield "answered cancelled, and at the main server"

    def _compare_bytes(self, sender: Sender, main: MainServer, balance: Balance) -> None:
        """What the main server has is one header of ours and the letter as it came."""
        originals = {sent.receipt_id: sent.letter.raw for sent in sender.sent if sent.receipt_id is not None}
        for taken in main.taken:
            original = originals.get(taken.receipt_id)
            if original is not None and not is_letter_behind_header(taken.raw, original):
                balance.faults.append(f"{taken.receipt_id}: its bytes at the main server are not those that came")


def _unknown(history: list[dict[str, Any]]) -> int:
    """How many tries ended without an answer: each may have brought the letter to the main server all the same."""
    return sum(attempt["code"] == 0 for attempt in history)


def is_letter_behind_header(raw: bytes, original: bytes) -> bool:
    """Whether `raw` is exactly one Received header and then `original`."""
    header = _OUR_HEADER.match(raw)
    return header is not None and raw[header.end() :] == original
