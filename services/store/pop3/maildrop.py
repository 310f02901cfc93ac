"""What a session sees of INBOX: as it was at login, whatever arrives or goes meanwhile (RFC 1939 section 4).

Letters are numbered from 1, without those that POP3 has been told to hide. One that has been forwarded and removed
since keeps its number, and can be read for as long as the recycle bin has its bytes.
"""

from array import array
from collections.abc import Iterator

from services.store.folders.cabinet import Cabinet
from services.store.folders.view import SEEN, Grip, Row
from services.store.pop3.replies import SYS_TEMP, Refused
from shared.mailbox.letters import INBOX

# Who fetches letters in a row has the next ones fetched with the one he asks for.
AHEAD_LETTERS = 32
AHEAD_OCTETS = 512 * 1024
# Letters that are changed together.
CHANGED_AT_ONCE = 1000


class Maildrop:
    """One session's INBOX. Close it at the end of the session."""

    def __init__(self, cabinet: Cabinet, grip: Grip) -> None:
        self._cabinet = cabinet
        self._grip = grip
        shown = [row for uid in grip.uids if (row := grip.row(uid)) is not None and not row.is_hidden]
        self._uids = array("I", (row.uid for row in shown))
        self._all_octets = sum(row.size for row in shown)
        self._deleted: set[int] = set()
        self._read: set[int] = set()
        self._ahead: dict[str, bytes] = {}
        self._last_fetched = 0
        self.count, self.octets = len(self._uids), self._all_octets

    @classmethod
    async def opened(cls, cabinet: Cabinet, address: str) -> "Maildrop":
        """The INBOX of a user as it is now. Raises MailboxUnavailable."""
        async with cabinet.opened(await cabinet.folder(address, INBOX)) as view:
            return cls(cabinet, Grip(view))

    def close(self) -> None:
        self._grip.close()

    @property
    def address(self) -> str:
        return self._grip.view.folder.address

    # What is there

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every letter that is not marked deleted, with its number."""
        for number in range(1, len(self._uids) + 1):
            if number not in self._deleted:
                yield number, self.row(number)

    def row(self, number: int) -> Row:
        """Raises Refused: no such letter, or it is marked deleted."""
        if not 1 <= number <= len(self._uids):
            raise Refused("no such letter")
        if number in self._deleted:
            raise Refused("that letter is marked deleted")
        row = self._grip.row(self._uids[number - 1])
        if row is None:
            raise Refused("that letter has gone since you logged in", SYS_TEMP)
        return row

    async def raw(self, number: int) -> bytes:
        """A letter's bytes. Raises Refused, MailboxUnavailable."""
        row = self.row(number)
        if row.receipt_id not in self._ahead:
            wanted = [row, *self._following(number, row.size)]
            self._ahead = await self._cabinet.bodies(wanted)
        self._last_fetched = number
        raw = self._ahead.get(row.receipt_id)
        if raw is None:
            raise Refused("that letter has gone since you logged in: it was forwarded, or purged", SYS_TEMP)
        if len(raw) > AHEAD_OCTETS:
            # A session that falls silent must not hold 50 MiB.
            self._ahead = {}
        return raw

    def _following(self, number: int, octets: int) -> Iterator[Row]:
        if number != self._last_fetched + 1:
            return
        for after in range(number + 1, min(number + AHEAD_LETTERS, len(self._uids)) + 1):
            row = None if after in self._deleted else self._grip.row(self._uids[after - 1])
            octets += row.size if row is not None else 0
            if octets > AHEAD_OCTETS:
                return
            if row is not None:
                yield row

    # What is done to it

    def mark_read(self, number: int) -> None:
        """RETR has brought it to the client."""
        self._read.add(number)

    def mark_deleted(self, number: int) -> None:
        """Raises Refused."""
        row = self.row(number)
        self._deleted.add(number)
        self.count -= 1
        self.octets -= row.size

    def unmark(self) -> None:
        """Nothing is to be deleted."""
        self._deleted.clear()
        self.count, self.octets = len(self._uids), self._all_octets

    async def keep_read(self) -> None:
        """Have what was read carry \\Seen; not what is marked deleted. Raises MailboxUnavailable."""
        for uids in self._batches(self._read - self._deleted):
            await self._cabinet.set_flags(self._grip.view, uids, "add", [SEEN])
        self._read.clear()

    async def delete(self, *, hide: bool) -> int:
        """Carry the marks out: delete as a person does, or `hide` from POP3 (N8). Returns how many letters.

        Raises:
            MailboxUnavailable: some may be deleted, and some not.
        """
        for uids in self._batches(self._deleted):
            if hide:
                await self._cabinet.hide(self._grip.view, uids)
            else:
                await self._cabinet.expunge(self._grip.view, uids, only_deleted=False)
        return len(self._deleted)

    def _batches(self, numbers: set[int]) -> Iterator[list[int]]:
        uids = sorted(self._uids[number - 1] for number in numbers)
        for at in range(0, len(uids), CHANGED_AT_ONCE):
            yield uids[at : at + CHANGED_AT_ONCE]
