"""A folder as all sessions of this process see it, and each session's own grip on it.

The view is what the database holds up to one modseq. A grip is one session's: the UIDs in the order of the numbers that
it has told its client, and what has happened since that it has not. A letter that is gone keeps its number for a grip,
and can be read through it, until the session has said so (RFC 9051 section 7.5.1).
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.letter import State
from shared.mailbox.folders import Folder
from shared.mailbox.letters import Letter

SEEN, DELETED, FLAGGED = "\\Seen", "\\Deleted", "\\Flagged"
# What a letter's own forward is doing, for programs that show keywords. Read-only.
PENDING, DEFERRED = "$ForwardPending", "$ForwardDeferred"
PARKED, CANCELLED = "$ForwardParked", "$ForwardCancelled"
FORWARD_KEYWORDS = (PENDING, DEFERRED, PARKED, CANCELLED)
_FORWARD_KEYWORDS = frozenset(FORWARD_KEYWORDS)
_KEYWORDS = {
    State.PENDING: PENDING,
    State.DEFERRED: DEFERRED,
    State.PARKED: PARKED,
    State.CANCELLED: CANCELLED,
}
# Equal sets of flags are one object: a folder of 100,000 letters has a dozen.
_SETS: dict[tuple[str, ...], frozenset[str]] = {}
_MOST_SETS = 10_000


@dataclass(slots=True)
class Row:
    """One letter in a folder. `at` is what INTERNALDATE says. `flags` has the forward's keyword, too."""

    uid: int
    letter_id: str
    size: int
    at: datetime
    flags: frozenset[str]
    modseq: int
    is_hidden: bool = False

    @property
    def receipt_id(self) -> str:
        """Whose bytes it has: every letter's id begins with its receipt's."""
        return self.letter_id.partition("-")[0]


def row_of(letter: Letter) -> Row:
    """The row of a letter as numbering.py reads it."""
    return Row(
        uid=letter["uid"],
        letter_id=letter["_id"],
        size=letter["size"],
        at=letter.get("internal_date") or letter["received_at"],
        flags=_flags(letter),
        modseq=letter["modseq"],
        is_hidden="pop3_hidden" in letter,
    )


def _flags(letter: Letter) -> frozenset[str]:
    keyword = _keyword(letter["forward"])
    return _one_object((*letter["flags"], keyword) if keyword else tuple(letter["flags"]))


def _one_object(names: tuple[str, ...]) -> frozenset[str]:
    found = _SETS.get(names)
    if found is None:
        if len(_SETS) >= _MOST_SETS:
            _SETS.clear()
        found = _SETS[names] = frozenset(names)
    return found


def _keyword(forward: dict[str, Any]) -> str | None:
    """A letter in flight is what it was before the try began."""
    if forward["state"] == State.IN_FLIGHT:
        return PENDING if forward["attempts"] <= 1 else DEFERRED
    return _KEYWORDS.get(forward["state"])


class View:
    """A folder's letters, shared by the sessions of this process."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.rows: dict[int, Row] = {}
        self.uids = array("I")
        self.is_filled = False
        self._keywords: tuple[int, frozenset[str]] = (0, frozenset())
        self.grips: set[Grip] = set()
        self.is_gone = False
        # One at a time brings the view up to date, or changes the folder.
        self.lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self.uids)

    def holes(self) -> list[tuple[int, int]]:
        """The UIDs that are not there, as ranges."""
        found, expected = [], 1
        for uid in self.uids:
            if uid > expected:
                found.append((expected, uid - 1))
            expected = uid + 1
        return found + ([(expected, self.folder.uidnext - 1)] if expected < self.folder.uidnext else [])

    @property
    def keywords(self) -> frozenset[str]:
        """Every flag that some letter carries; looked for once for each modseq."""
        if self._keywords[0] != self.folder.modseq:
            self._keywords = self.folder.modseq, frozenset().union(*{row.flags for row in self.rows.values()})
        return self._keywords[1]

    @property
    def unseen(self) -> int:
        return sum(SEEN not in row.flags for row in self.rows.values())

    @property
    def octets(self) -> int:
        return sum(row.size for row in self.rows.values())

    def count(self, flag: str) -> int:
        return sum(flag in row.flags for row in self.rows.values())

    def fill(self, folder: Folder, rows: dict[int, Row]) -> None:
        """All that may be seen of the folder, by UID."""
        self.folder = folder
        self.rows = rows
        self.uids = array("I", rows)
        self.is_filled = True

    def take_in(self, folder: Folder, rows: Iterable[Row], gone: Sequence[int]) -> None:
        """What has changed between the view's modseq and the folder's, which is the view's from now on."""
        arrived: list[int] = []
        changed: list[int] = []
        for row in rows:
            before = self.rows.get(row.uid)
            self.rows[row.uid] = row
            if before is None:
                arrived.append(row.uid)
            elif before.flags != row.flags or before.modseq != row.modseq:
                changed.append(row.uid)
        vanished = {uid: self.rows.pop(uid) for uid in gone if uid in self.rows}
        if vanished:
            self.uids = array("I", (uid for uid in self.uids if uid not in vanished))
        self.uids.extend(sorted(uid for uid in arrived if uid not in vanished))
        self.folder = folder
        for grip in self.grips:
            grip.hear(arrived, changed, vanished)

    def set_flags(self, uids: Iterable[int], how: str, flags: Sequence[str], modseq: int) -> None:
        """What a job did that ended at `modseq`, the first after the view's."""
        changed: list[int] = []
        sets: dict[frozenset[str], frozenset[str]] = {}
        for uid in uids:
            row = self.rows.get(uid)
            if row is None:
                continue
            after = sets.get(row.flags)
            if after is None:
                after = sets[row.flags] = _with(row.flags, how, frozenset(flags))
            if after != row.flags:
                row.flags, row.modseq = after, modseq
                changed.append(uid)
        self.folder = replace(self.folder, modseq=modseq)
        for grip in self.grips:
            grip.hear((), changed, {})

    def refill(self, letters: Iterable[Letter]) -> None:
        """What these letters are like now; nobody is told."""
        for letter in letters:
            if letter["uid"] in self.rows:
                self.rows[letter["uid"]] = row_of(letter)

    def close(self) -> None:
        """The folder is no more."""
        self.is_gone = True
        for grip in self.grips:
            grip.notify()


def _with(before: frozenset[str], how: str, flags: frozenset[str]) -> frozenset[str]:
    """As the database does it; the forward's keywords are nobody's to set."""
    own = before & _FORWARD_KEYWORDS
    after = {"add": before | flags, "remove": before - flags}.get(how, flags | own)
    return _one_object(tuple(sorted(after)))


class Grip:
    """One session's hold on a view."""

    def __init__(self, view: View, notify: Callable[[], None] = lambda: None) -> None:
        """`notify` is called when something is waiting to be told."""
        self.view = view
        self.notify = notify
        # The numbers of this session: a letter's number is its place here, from 1.
        self.uids = array("I", view.uids)
        self.ghosts: dict[int, Row] = {}
        self.arrived: list[int] = []
        self.changed: set[int] = set()
        view.grips.add(self)

    def close(self) -> None:
        self.view.grips.discard(self)

    def __len__(self) -> int:
        return len(self.uids)

    def hear(self, arrived: Sequence[int], changed: Sequence[int], vanished: dict[int, Row]) -> None:
        """The view has changed."""
        self.arrived += arrived
        self.changed.update(changed)
        self.ghosts.update(vanished)
        if arrived or changed or vanished:
            self.notify()

    def row(self, uid: int) -> Row | None:
        """The letter with this UID, also where it is gone and that is not told yet."""
        return self.view.rows.get(uid) or self.ghosts.get(uid)

    def number(self, uid: int) -> int | None:
        """The number of the letter in this session."""
        place = bisect_left(self.uids, uid)
        return place + 1 if place < len(self.uids) and self.uids[place] == uid else None

    def uids_between(self, first: int, last: int) -> Sequence[int]:
        """The UIDs from `first` to `last` that this session knows."""
        return self.uids[bisect_left(self.uids, first) : bisect_right(self.uids, last)]

    # What is told to the client; each takes it out of what is waiting.

    def tell_vanished(self) -> list[tuple[int, int]]:
        """(number, UID) of each that is gone, so that each number holds when it is told: from the highest down."""
        gone = sorted((uid for uid in self.ghosts), reverse=True)
        told = [(number, uid) for uid in gone if (number := self.number(uid)) is not None]
        unseen = set(self.ghosts) - {uid for _, uid in told}
        if told:
            lost = {uid for _, uid in told}
            self.uids = array("I", (uid for uid in self.uids if uid not in lost))
        self.arrived = [uid for uid in self.arrived if uid not in unseen]
        self.changed.difference_update(self.ghosts)
        self.ghosts.clear()
        return told

    def tell_arrived(self) -> bool:
        """Whether there are more than before."""
        known = self.uids[-1] if self.uids else 0
        # One that came and went between two looks has no number here, and none to lose.
        fresh = sorted({uid for uid in self.arrived if uid > known and uid in self.view.rows})
        self.arrived.clear()
        self.uids.extend(fresh)
        return bool(fresh)

    def tell_changed(self) -> list[tuple[int, Row]]:
        """(number, letter) of each whose flags are others now."""
        changed = sorted(self.changed)
        self.changed.clear()
        numbered = [(self.number(uid), self.view.rows.get(uid)) for uid in changed]
        return [(number, row) for number, row in numbered if number is not None and row is not None]
