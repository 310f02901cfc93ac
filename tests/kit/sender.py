"""A sender of the tests: many letters over many connections, every reply written down with its time."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_QUEUED = re.compile(r"queued as (\S+)")
LOOPBACK = "127.0.0.1"
# uvloop raises RuntimeError where a write meets a closed connection.
BROKEN = (OSError, RuntimeError, asyncio.IncompleteReadError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A letter to be sent. `raw` has CRLF line ends."""

    raw: bytes
    recipients: tuple[str, ...]
    sender: str = "sender@elsewhere.test"


@dataclass(frozen=True, slots=True)
class Sent:
    """How one try went. Code 0: the line broke or stayed silent. `seconds` is the wait for the reply to the dot."""

    letter: Outgoing
    code: int
    text: str
    seconds: float
    at: float

    @property
    def receipt_id(self) -> str | None:
        found = _QUEUED.search(self.text)
        return found[1] if self.code == 250 and found else None


@dataclass(slots=True)
class Sender:
    """Sends to one ingest; `sent` has every try."""

    port: int
    patience_seconds: float = 60.0
    letters_per_connection: int = 1_000_000
    # Between two letters of one connection.
    pause_seconds: float = 0.0
    sent: list[Sent] = field(default_factory=list)

    async def send(self, letters: Iterable[Outgoing], *, connections: int = 10) -> list[Sent]:
        """Send each once; returns the tries of this call in the order in which they ended."""
        tries: list[Sent] = []
        source = iter(letters)
        await asyncio.gather(*(self._worker(source, tries) for _ in range(connections)))
        return tries

    async def send_until_taken(
        self, letters: Sequence[Outgoing], *, connections: int = 10, within: float = 120
    ) -> None:
        """As a mail server does: what was not answered 250 is sent again, as a new receipt each time."""
        end = time.monotonic() + within
        left = list(letters)
        while left:
            if time.monotonic() > end:
                raise AssertionError(f"{len(left)} letters not taken after {within:.0f} s: {self.sent[-1]}")
            tries = await self.send(left, connections=connections)
            left = [sent.letter for sent in tries if sent.code != 250]
            if left:
                await asyncio.sleep(0.5)

    async def _worker(self, source: Iterator[Outgoing], tries: list[Sent]) -> None:
        letter = next(source, None)
        while letter is not None:
            try:
                async with self._session() as session:
                    for _ in range(self.letters_per_connection):
                        sent = await session.deliver(letter)
                        self._note(sent, tries)
                        letter = next(source, None)
                        if letter is None or sent.code in (0, 421):
                            break
                        await asyncio.sleep(self.pause_seconds)
            except BROKEN as error:
                assert letter is not None
                self._note(Sent(letter, 0, f"no session: {type(error).__name__}", 0.0, time.time()), tries)
                letter = next(source, None)
                await asyncio.sleep(0.05)

    def _note(self, sent: Sent, tries: list[Sent]) -> None:
        self.sent.append(sent)
        tries.append(sent)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator["_Session"]:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        session = _Session(reader, writer, self.patience_seconds)
        try:
            async with asyncio.timeout(self.patience_seconds):
                await session.reply()
                await session.ask(b"EHLO sender.test")
            yield session
        finally:
            with contextlib.suppress(*BROKEN):
                writer.write(b"QUIT\r\n")
            writer.close()


@dataclass(slots=True)
class _Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    patience_seconds: float

    async def reply(self) -> tuple[int, str]:
        lines = []
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    async def ask(self, command: bytes) -> tuple[int, str]:
        self.writer.write(command + b"\r\n")
        return await self.reply()

    async def deliver(self, letter: Outgoing) -> Sent:
        """One transaction; never raises for what the server does."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.patience_seconds):
                refusal = await self._envelope(letter)
                if refusal is None:
                    self.writer.write(_stuffed(letter.raw))
                    await self.writer.drain()
                    began = time.monotonic()
                    self.writer.write(b".\r\n")
                code, text = refusal or await self.reply()
        except BROKEN as error:
            code, text = 0, f"no answer: {type(error).__name__}"
        return Sent(letter, code, text, time.monotonic() - began, time.time())

    async def _envelope(self, letter: Outgoing) -> tuple[int, str] | None:
        """None when the server said 354; otherwise what it said instead."""
        commands = [f"MAIL FROM:<{letter.sender}>", *(f"RCPT TO:<{address}>" for address in letter.recipients)]
        refusal: tuple[int, str] | None = None
        for command in commands:
            answer = await self.ask(command.encode())
            refusal = answer if answer[0] != 250 else refusal
        if refusal is None:
            answer = await self.ask(b"DATA")
            refusal = answer if answer[0] != 354 else None
        if refusal is not None and refusal[0] != 421:
            await self.ask(b"RSET")
        return refusal


def _stuffed(raw: bytes) -> bytes:
    """Dots doubled, and ended by CRLF (RFC 5321 4.5.2)."""
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def letter(number: int, *recipients: str, size: int = 400, sender: str = "sender@elsewhere.test") -> Outgoing:
    """A letter that says which it is, about `size` bytes long."""
    head = (
        f"From: Sender <{sender}>\r\nTo: {', '.join(recipients)}\r\nSubject: Letter {number}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@elsewhere.test>\r\nX-Number: {number}\r\n\r\n"
    ).encode()
    line = b"The quick brown fox jumps over the lazy dog and does so again.\r\n"
    body = line * max(1, (size - len(head)) // len(line))
    return Outgoing(head + body, recipients, sender)


def letters(count: int, *recipients: str, size: int = 400, start: int = 0) -> list[Outgoing]:
    """`count` letters, each to all `recipients`."""
    return [letter(start + number, *recipients, size=size) for number in range(count)]
