"""Programs and libraries that do just what they are told: curl, IMAPClient, and Python's own."""

import contextlib
import imaplib
import poplib
from collections.abc import Iterator
from typing import Any, ClassVar

import imapclient

from tests.kit.mailprograms.account import LOOPBACK, PATIENCE_SECONDS, Program, subject_of


class CurlImap(Program):
    """curl with imap://."""

    name: ClassVar[str] = "curl-imap"

    def ask(self, path: str = "", *, request: str | None = None) -> str:
        """Fetch `path`, or send a command of one's own there."""
        url = f"imap://{LOOPBACK}:{self.account.imap_port}/{path}"
        who = ["--user", f"{self.account.address}:{self.account.password}"]
        return self.run("curl", "--silent", "--show-error", *who, *(["-X", request] if request else []), url)

    def _numbers(self) -> list[str]:
        """`* SEARCH 1 2`."""
        return self.ask("INBOX?ALL").split()[2:]

    def subjects(self) -> list[str]:
        return sorted(subject_of(self.ask(f"INBOX;MAILINDEX={number}").encode()) for number in self._numbers())

    def delete(self, subject: str) -> None:
        (number,) = self.ask(f"INBOX?SUBJECT%20{subject}").split()[2:]
        self.ask("INBOX", request=f"STORE {number} +FLAGS (\\Deleted)")
        self.ask("INBOX", request="EXPUNGE")


class CurlPop3(Program):
    """curl with pop3://."""

    name: ClassVar[str] = "curl-pop3"

    def ask(self, path: str = "", *, request: str | None = None) -> str:
        """As CurlImap's."""
        url = f"pop3://{LOOPBACK}:{self.account.pop3_port}/{path}"
        who = ["--user", f"{self.account.address}:{self.account.password}"]
        # -I: no answer of more lines than one is waited for.
        return self.run("curl", "--silent", "--show-error", *who, *(["-X", request, "-I"] if request else []), url)

    def _letters(self) -> dict[str, str]:
        numbers = [line.split()[0] for line in self.ask().splitlines() if line.strip()]
        return {subject_of(self.ask(number).encode()): number for number in numbers}

    def subjects(self) -> list[str]:
        return sorted(self._letters())

    def delete(self, subject: str) -> None:
        self.ask(self._letters()[subject], request="DELE")


class ImapClient(Program):
    """IMAPClient."""

    name: ClassVar[str] = "imapclient"

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        """Logged in."""
        with imapclient.IMAPClient(LOOPBACK, self.account.imap_port, ssl=False, timeout=PATIENCE_SECONDS) as client:
            client.login(self.account.address, self.account.password)
            yield client

    def subjects(self) -> list[str]:
        with self.session() as client:
            client.select_folder("INBOX", readonly=True)
            letters = client.fetch(client.search(), ["BODY.PEEK[]"])
            return sorted(subject_of(letter[b"BODY[]"]) for letter in letters.values())

    def delete(self, subject: str) -> None:
        with self.session() as client:
            client.select_folder("INBOX")
            client.move(client.search(["SUBJECT", subject]), "Trash")


class Imaplib(Program):
    """Python's own."""

    name: ClassVar[str] = "imaplib"

    @contextlib.contextmanager
    def session(self) -> Iterator[imaplib.IMAP4]:
        """Logged in, with INBOX selected."""
        with imaplib.IMAP4(LOOPBACK, self.account.imap_port, timeout=PATIENCE_SECONDS) as client:
            client.login(self.account.address, self.account.password)
            client.select()
            yield client

    def subjects(self) -> list[str]:
        with self.session() as client:
            numbers = client.search(None, "ALL")[1][0].split()
            letters: list[Any] = [client.fetch(number, "(RFC822)")[1][0] for number in numbers]
            return sorted(subject_of(letter[1]) for letter in letters)

    def delete(self, subject: str) -> None:
        with self.session() as client:
            (number,) = client.search(None, "SUBJECT", subject)[1][0].split()
            client.store(number, "+FLAGS", "\\Deleted")
            client.close()


class Poplib(Program):
    """Python's own."""

    name: ClassVar[str] = "poplib"

    @contextlib.contextmanager
    def session(self) -> Iterator[poplib.POP3]:
        """Logged in; QUIT at the end."""
        client = poplib.POP3(LOOPBACK, self.account.pop3_port, timeout=PATIENCE_SECONDS)
        client.user(self.account.address)
        client.pass_(self.account.password)
        yield client
        client.quit()

    def _letters(self, client: poplib.POP3) -> dict[str, int]:
        numbers = range(1, client.stat()[0] + 1)
        return {subject_of(b"\r\n".join(client.retr(number)[1])): number for number in numbers}

    def subjects(self) -> list[str]:
        with self.session() as client:
            return sorted(self._letters(client))

    def delete(self, subject: str) -> None:
        with self.session() as client:
            client.dele(self._letters(client)[subject])
