"""A server with mailboxes, ours or Dovecot, as the tests that compare them see it."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.kit.api import PASSWORD
from tests.kit.dovecot import Dovecot
from tests.kit.imapwire import Wire, literal
from tests.kit.system import System

# Besides INBOX.
FOLDERS = ("Sent", "Drafts", "Junk", "Trash", "Archive")
_BATCH = 100
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter to be put into a folder: its bytes, its flags, and when it came (an IMAP date-time)."""

    raw: bytes
    flags: str = ""
    date: str = "01-Feb-2024 12:00:00 +0000"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where it listens, and how it gets a user with an empty mailbox, whose password is PASSWORD."""

    imap_port: int
    pop3_port: int
    add_user: Callable[[str], Awaitable[object]]
    password: str = field(default=PASSWORD, repr=False)

    async def new_user(self) -> str:
        """One that no other test has."""
        address = f"user{next(_numbers)}@example.test"
        await self.add_user(address)
        return address

    async def imap(self, address: str) -> Wire:
        """A connection, logged in."""
        wire = await Wire.open(self.imap_port)
        answer = await wire.login(address, self.password)
        assert answer.status == "OK", answer
        return wire

    async def fill(self, address: str, letters: Sequence[Filed], folder: str = "INBOX") -> None:
        """Put exactly these bytes into a folder, in this order, by APPEND of many at once (RFC 3502)."""
        wire = await self.imap(address)
        for first in range(0, len(letters), _BATCH):
            many = b"".join(_appended(letter) for letter in letters[first : first + _BATCH])
            answer = await wire.command(b'APPEND "%s"%s' % (folder.encode(), many), within=300)
            assert answer.status == "OK", answer
        await wire.command("LOGOUT")
        await wire.close()


def _appended(letter: Filed) -> bytes:
    head = f' ({letter.flags}) "{letter.date}" '
    return head.encode() + literal(letter.raw, plus=True)


def of_dovecot(dovecot: Dovecot) -> MailServer:
    """Dovecot, where everybody is a user already, but has his folders only once they were opened."""

    async def add_user(address: str) -> None:
        wire = await server.imap(address)
        for folder in ("INBOX", *FOLDERS):
            for command in (f"SELECT {folder}", f"SUBSCRIBE {folder}"):
                answer = await wire.command(command)
                assert answer.status == "OK", answer
        await wire.close()

    server = MailServer(dovecot.imap_port, dovecot.pop3_port, add_user)
    return server


def of_system(system: System) -> MailServer:
    """Ours, with users whose letters stay."""

    async def add_user(address: str) -> None:
        await system.add_user(address, mode="store_only")

    return MailServer(system.port("imap"), system.port("pop3"), add_user)
