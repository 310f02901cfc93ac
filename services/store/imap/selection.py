"""The selected mailbox of a session: what its client knows of it, and how it is told of what has changed."""

from array import array
from collections.abc import Iterable, Sequence

from services.store.folders.cabinet import Cabinet
from services.store.folders.view import FORWARD_KEYWORDS, Grip, Row, View
from services.store.imap import format as wire
from services.store.imap.answers import Bye

SYSTEM = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
_KNOWN_FLAGS: dict[frozenset[str], bytes] = {}
_MOST_KNOWN = 10_000


def flags_of(row: Row) -> bytes:
    """The flags of a letter as FETCH has them. A folder of 100,000 letters has a dozen sets of them."""
    found = _KNOWN_FLAGS.get(row.flags)
    if found is None:
        if len(_KNOWN_FLAGS) >= _MOST_KNOWN:
            _KNOWN_FLAGS.clear()
        found = _KNOWN_FLAGS[row.flags] = wire.flag_list(sorted(row.flags))
    return found


class Selection:
    """A folder as a session has it open."""

    def __init__(self, cabinet: Cabinet, grip: Grip, *, is_read_only: bool) -> None:
        self._cabinet = cabinet
        self.grip = grip
        self.is_read_only = is_read_only
        # What the last SEARCH with SAVE found (RFC 5182).
        self.saved: Sequence[int] = array("I")
        self.keywords: set[str] = set()

    @property
    def view(self) -> View:
        return self.grip.view

    @property
    def name(self) -> str:
        return self.view.folder.name

    def close(self) -> None:
        self.grip.close()

    async def refresh(self) -> None:
        """Learn of what has happened up to now. Raises FolderMissing, MailboxUnavailable."""
        await self._cabinet.views.refresh(self.view)

    def flags_line(self) -> bytes:
        """`* FLAGS (...)`: all that letters carry here."""
        self.keywords = self._keywords()
        names = (*SYSTEM, *FORWARD_KEYWORDS, *sorted(self.keywords))
        return b"* FLAGS %b\r\n" % wire.flag_list(names)

    def _keywords(self) -> set[str]:
        return set(self.view.keywords.difference(SYSTEM, FORWARD_KEYWORDS))

    def news(self, *, with_expunged: bool, with_uid: bool, with_modseq: bool, as_vanished: bool) -> list[bytes]:
        """The untagged answers that tell what has changed since the last time. What has gone is told where numbers may
        change only (RFC 9051 section 7.5.1).

        Raises:
            Bye: the folder itself has gone.
        """
        if self.view.is_gone:
            raise Bye("The selected mailbox is gone")
        told: list[bytes] = []
        if with_expunged and self.grip.ghosts:
            told += self._expunged(as_vanished=as_vanished)
        if self.grip.arrived and self.grip.tell_arrived():
            told.append(b"* %d EXISTS\r\n" % len(self.grip))
        if self.grip.changed:
            changed = self.grip.tell_changed()
            if any(not self.keywords.issuperset(_own(row)) for _, row in changed):
                told.append(self.flags_line())
            told += [
                self.changed_line(number, row, with_uid=with_uid, with_modseq=with_modseq) for number, row in changed
            ]
        return told

    def _expunged(self, *, as_vanished: bool) -> list[bytes]:
        gone = self.grip.tell_vanished()
        if as_vanished:
            return [b"* VANISHED %b\r\n" % wire.numbers(sorted(uid for _, uid in gone))] if gone else []
        return [b"* %d EXPUNGE\r\n" % number for number, _ in gone]

    @staticmethod
    def changed_line(number: int, row: Row, *, with_uid: bool, with_modseq: bool) -> bytes:
        """`* n FETCH (FLAGS ...)`."""
        uid = b"UID %d " % row.uid if with_uid else b""
        modseq = b" MODSEQ (%d)" % row.modseq if with_modseq else b""
        return b"* %d FETCH (%bFLAGS %b%b)\r\n" % (number, uid, flags_of(row), modseq)


def _own(row: Row) -> Iterable[str]:
    return row.flags.difference(SYSTEM, FORWARD_KEYWORDS)
