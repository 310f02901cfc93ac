"""A stand-in main server of the tests: keeps every letter's bytes, envelope and time, and has any temper asked of it.

A temper is a coroutine that is asked at each stage of a session what to say instead of the usual. It may answer, wait
for ever, or raise `Dropped`. What was said 250 to, or kept before the line was dropped, is in `taken`.
"""

import asyncio
import contextlib
import re
import ssl
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

LOOPBACK = "127.0.0.1"
LIMIT = 128 * 1024 * 1024
_ID = re.compile(rb"\sid\s+([0-9A-HJKMNP-TV-Z]{26})\b")
_PATH = re.compile(rb":\s*<([^>]*)>")

# Asked with the stage (CONNECT, EHLO, MAIL, RCPT, DATA, DOT, KEPT ...) and what the client said there; None: the usual.
Temper = Callable[[str, bytes], Awaitable[bytes | None]]


class Dropped(Exception):
    """Close the connection without a word."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One letter that the server has."""

    receipt_id: str
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    at: float


async def plain(_stage: str, _said: bytes) -> bytes | None:
    """Takes everything."""
    return None


async def greeting_never(stage: str, _said: bytes) -> bytes | None:
    """Accepts the connection and never says a word."""
    if stage == "CONNECT":
        await asyncio.Event().wait()
    return None


async def hanging_before_dot(stage: str, _said: bytes) -> bytes | None:
    """Says 354 and then reads nothing any more."""
    if stage == "BODY":
        await asyncio.Event().wait()
    return None


async def hanging_after_dot(stage: str, _said: bytes) -> bytes | None:
    """Has the letter and never says so."""
    if stage == "KEPT":
        await asyncio.Event().wait()
    return None


async def dropping_after_dot(stage: str, _said: bytes) -> bytes | None:
    """Has the letter, and the line breaks before it says so."""
    if stage == "KEPT":
        raise Dropped
    return None


async def dropping_before_dot(stage: str, _said: bytes) -> bytes | None:
    """The line breaks while the letter is on its way."""
    if stage == "BODY":
        raise Dropped
    return None


def refusing(at: str, reply: bytes) -> Temper:
    """Answers `reply` at the stage `at`: MAIL, RCPT, DATA, or DOT (the letter is not kept)."""

    async def refuse(stage: str, _said: bytes) -> bytes | None:
        return reply if stage == at else None

    return refuse


def refusing_recipient(address: str, reply: bytes) -> Temper:
    """Answers `reply` to one recipient, takes everything else."""

    async def refuse(stage: str, said: bytes) -> bytes | None:
        return reply if stage == "RCPT" and address.encode() in said.lower() else None

    return refuse


def slow(seconds: float) -> Temper:
    """Takes its time with each letter."""

    async def wait(stage: str, _said: bytes) -> bytes | None:
        if stage == "KEPT":
            await asyncio.sleep(seconds)
        return None

    return wait


class Pause:
    """A temper that stops at `stage` until it is told to go on, and then answers `then`; None: the usual."""

    def __init__(self, stage: str, then: bytes | None = None) -> None:
        self._stage = stage
        self._then = then
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, stage: str, _said: bytes) -> bytes | None:
        if stage != self._stage:
            return None
        self.reached.set()
        await self.go_on.wait()
        return self._then


def first(times: int, temper: Temper, at: str) -> Temper:
    """`temper` for the first `times` letters that reach the stage `at`, then plain."""
    left = times

    async def sometimes(stage: str, said: bytes) -> bytes | None:
        nonlocal left
        if left <= 0:
            return None
        if stage == at:
            left -= 1
        return await temper(stage, said)

    return sometimes


@dataclass(slots=True)
class MainServer:
    """The main server; on a free port unless one is given. `login` is (name, password) that it wants before MAIL."""

    temper: Temper = plain
    port: int = 0
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    transactions: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """What a user's target_server says."""
        return f"{LOOPBACK}:{self.port}"

    async def come_back(self) -> None:
        """Listen; always on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port, limit=LIMIT, backlog=1000)
            self.port = self._server.sockets[0].getsockname()[1]

    async def go_away(self) -> None:
        """Close the port, and cut every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_away()

    def forget(self) -> None:
        """A new page: plain, and nothing taken yet."""
        self.temper = plain
        self.taken.clear()
        self.connections = self.transactions = 0

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each (receipt id, recipient) was taken."""
        return Counter((letter.receipt_id, recipient) for letter in self.taken for recipient in letter.recipients)

    async def has_taken(self, letters: int, *, within: float = 60.0) -> None:
        """Wait until so many letters were taken, repeats included."""
        try:
            async with asyncio.timeout(within):
                while len(self.taken) < letters:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"{len(self.taken)} of {letters} letters taken after {within:.0f} s") from None

    async def has_begun(self, transactions: int, *, within: float = 30.0) -> None:
        """Wait until so many transactions (MAIL) were begun."""
        try:
            async with asyncio.timeout(within):
                while self.transactions < transactions:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.transactions} of {transactions} transactions after {within:.0f} s") from None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(_Session(self, reader, writer).run())
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)


@dataclass(slots=True)
class _Session:
    server: MainServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    is_secure: bool = False
    is_known: bool = False

    async def run(self) -> None:
        try:
            await self._say("CONNECT", b"", b"220 main.test ESMTP")
            while True:
                line = await self.reader.readuntil(b"\r\n")
                verb = line[:4].upper().strip().decode("ascii", "replace")
                await self._command(verb, line.rstrip(b"\r\n"))
        except (Dropped, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            with contextlib.suppress(Exception):
                self.writer.transport.abort()

    async def _say(self, stage: str, said: bytes, usual: bytes) -> bool:
        """Answer as the temper wants; whether it was the usual."""
        other = await self.server.temper(stage, said)
        self.writer.write((usual if other is None else other) + b"\r\n")
        return other is None

    async def _command(self, verb: str, line: bytes) -> None:
        match verb:
            case "EHLO" | "HELO":
                await self._say(verb, line, self._capabilities())
            case "MAIL":
                await self._mail(line)
            case "RCPT":
                if await self._say("RCPT", line, b"250 2.1.5 Ok"):
                    self.recipients.append(_path(line))
            case "DATA":
                await self._data(line)
            case "QUIT":
                await self._say("QUIT", line, b"221 2.0.0 Bye")
                await self.writer.drain()
                raise Dropped
            case "STAR" if self.server.tls is not None:
                await self._start_tls(line)
            case "AUTH":
                await self._authenticate(line)
            case "RSET" | "NOOP":
                self.recipients.clear()
                await self._say(verb, line, b"250 2.0.0 Ok")
            case _:
                self.writer.write(b"502 5.5.1 Not known\r\n")

    def _capabilities(self) -> bytes:
        words = [b"main.test", b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 0", b"ENHANCEDSTATUSCODES"]
        if self.server.tls is not None and not self.is_secure:
            words.append(b"STARTTLS")
        if self.server.login is not None:
            words.append(b"AUTH PLAIN")
        return b"\r\n".join(b"250-" + word for word in words[:-1]) + b"\r\n250 " + words[-1]

    async def _mail(self, line: bytes) -> None:
        self.server.transactions += 1
        self.server.changed.set()
        if self.server.login is not None and not self.is_known:
            self.writer.write(b"530 5.7.0 Authentication required\r\n")
            return
        self.sender = _path(line)
        self.recipients.clear()
        await self._say("MAIL", line, b"250 2.1.0 Ok")

    async def _data(self, line: bytes) -> None:
        if not self.recipients:
            self.writer.write(b"503 5.5.1 No recipients\r\n")
            return
        if not await self._say("DATA", line, b"354 Go on"):
            return
        await self.server.temper("BODY", b"")
        raw = await self._letter()
        refusal = await self.server.temper("DOT", raw)
        if refusal is not None:
            self.writer.write(refusal + b"\r\n")
            return
        self._keep(raw)
        await self._say("KEPT", raw, b"250 2.0.0 Ok: kept")

    async def _letter(self) -> bytes:
        """The letter up to the lone dot, the doubled dots undone (RFC 5321 4.5.2)."""
        data = await self.reader.readexactly(3)
        if b"\r" not in data:
            data += await self.reader.readuntil(b"\r\n.\r\n")
        while not (b"\r\n" + data).endswith(b"\r\n.\r\n"):
            data += await self.reader.readuntil(b".\r\n")
        data = data[:-3]
        return (data[1:] if data.startswith(b".") else data).replace(b"\r\n..", b"\r\n.")

    def _keep(self, raw: bytes) -> None:
        found = _ID.search(raw, 0, 2000)
        receipt_id = found[1].decode() if found else ""
        self.server.taken.append(Taken(receipt_id, self.sender, tuple(self.recipients), raw, time.time()))
        self.server.changed.set()

    async def _start_tls(self, line: bytes) -> None:
        if await self._say("STARTTLS", line, b"220 2.0.0 Go on") and self.server.tls is not None:
            await self.writer.start_tls(self.server.tls)
            self.is_secure = True

    async def _authenticate(self, line: bytes) -> None:
        given = b64decode(line.split(b" ")[-1]).decode().split("\0")[1:]
        self.is_known = tuple(given) == self.server.login
        usual = b"235 2.7.0 Welcome" if self.is_known else b"535 5.7.8 No"
        await self._say("AUTH", line, usual)


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found[1].decode("utf-8", "replace").lower() if found else ""
