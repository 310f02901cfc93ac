"""A main server that writes down what it hears, read by read: who pipelines, who chunks, who passes a client on.

Where `says` has a list for a verb, its replies are given one by one instead of the usual; `HANG_UP` closes the
connection. The letter counts as kept where the last answer, to the final dot or to BDAT LAST, was the usual one.
"""

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass, field
from typing import Self

LOOPBACK = "127.0.0.1"
HANG_UP = b""
EVERYTHING = (
    b"PIPELINING",
    b"CHUNKING",
    b"8BITMIME",
    b"SMTPUTF8",
    b"SIZE 0",
    b"XCLIENT NAME ADDR HELO",
    b"XFORWARD NAME ADDR HELO SOURCE",
)
_PATH = re.compile(rb":\s*<([^>]*)>")


@dataclass(frozen=True, slots=True)
class Kept:
    """One letter: its envelope, its bytes, how it came (DATA or BDAT), and the attributes of XFORWARD before it."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    by: str
    forwarded: tuple[bytes, ...]


@dataclass(slots=True)
class Scribe:
    """The server, on a free port while the block runs."""

    announces: tuple[bytes, ...] = EVERYTHING
    says: dict[str, list[bytes]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    # Takes each command by itself, whatever became of those before it.
    is_lax: bool = False
    port: int = 0
    # Each command, without the letters' bytes; and what came in one read, cut to its verbs.
    heard: list[bytes] = field(default_factory=list)
    reads: list[list[str]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    connections: int = 0
    _server: asyncio.Server | None = None
    _visits: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    @property
    def verbs(self) -> list[str]:
        return [line.split(b" ")[0].decode() for line in self.heard]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(_Visit(self, reader, writer).run())
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)


class _HungUp(Exception):
    """By us or by the client."""


class _Visit:
    """One connection. Bytes are taken as they come, so that it shows what was written at once."""

    def __init__(self, scribe: Scribe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._scribe, self._reader, self._writer = scribe, reader, writer
        self._buffer = b""
        self._is_secure = False
        self._forget()

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._chunks: list[bytes] = []
        self._forwarded: list[bytes] = []

    async def run(self) -> None:
        try:
            self._answer("CONNECT", b"220 scribe.test ESMTP")
            while True:
                line = await self._until(b"\r\n")
                self._scribe.heard.append(line)
                verb = line.split(b" ")[0].decode().upper()
                self._scribe.reads[-1].append(verb)
                await self._command(verb, line)
        except (_HungUp, OSError):
            pass
        finally:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.close()

    async def _command(self, verb: str, line: bytes) -> None:
        match verb:
            case "EHLO" | "HELO":
                self._forget()
                self._answer(verb, self._capabilities() if verb == "EHLO" else b"250 scribe.test")
            case "STARTTLS" if self._scribe.tls is not None:
                self._answer(verb, b"220 2.0.0 Go on")
                await self._writer.start_tls(self._scribe.tls)
                self._is_secure = True
            case "MAIL":
                self._mail(line)
            case "RCPT":
                self._rcpt(line)
            case "DATA":
                await self._data()
            case "BDAT":
                await self._bdat(line)
            case "XFORWARD":
                if self._answer(verb, b"250 2.0.0 Ok"):
                    self._forwarded.extend(line.split()[1:])
            case "XCLIENT":
                is_open = self._sender is not None
                self._answer(verb, b"503 5.5.1 Not within a transaction" if is_open else b"220 scribe.test ESMTP")
            case "QUIT":
                self._answer(verb, b"221 2.0.0 Bye")
                raise _HungUp
            case "RSET":
                self._forget()
                self._answer(verb, b"250 2.0.0 Ok")
            case _:
                self._answer(verb, b"502 5.5.1 Not known")

    def _capabilities(self) -> bytes:
        words = [b"scribe.test", *self._scribe.announces]
        if self._scribe.tls is not None and not self._is_secure:
            words.append(b"STARTTLS")
        return b"\r\n".join([b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]])

    def _mail(self, line: bytes) -> None:
        if self._sender is not None:
            self._answer("MAIL", b"503 5.5.1 Nested MAIL", is_usual=False)
        elif self._answer("MAIL", b"250 2.1.0 Ok"):
            self._sender = _path(line)

    def _rcpt(self, line: bytes) -> None:
        if self._sender is None and not self._scribe.is_lax:
            self._answer("RCPT", b"503 5.5.1 MAIL first", is_usual=False)
        elif self._answer("RCPT", b"250 2.1.5 Ok"):
            self._recipients.append(_path(line))

    async def _data(self) -> None:
        usual = b"354 Go on" if self._recipients or self._scribe.is_lax else b"503 5.5.1 RCPT first"
        answer = self._next("DATA", usual)
        self._say(answer)
        if not answer.startswith(b"354"):
            return
        raw = (await self._until(b"\r\n.\r\n", before=b"\r\n"))[2:]
        self._scribe.reads[-1].append(".")
        self._end("DOT", "DATA", (b"\r\n" + raw + b"\r\n").replace(b"\r\n.", b"\r\n")[2:] if raw else b"")

    async def _bdat(self, line: bytes) -> None:
        """RFC 3030 section 2: the chunk comes behind the command, whatever is said to it."""
        _, size, *last = line.split()
        chunk = await self._exactly(int(size))
        if not self._recipients and not self._scribe.is_lax:
            self._answer("BDAT", b"503 5.5.1 RCPT first", is_usual=False)
            return
        self._chunks.append(chunk)
        if last:
            self._end("BDAT", "BDAT", b"".join(self._chunks))
        else:
            self._answer("BDAT", b"250 2.0.0 Ok")

    def _end(self, stage: str, by: str, raw: bytes) -> None:
        if self._answer(stage, b"250 2.0.0 Ok: kept"):
            letter = Kept(self._sender or "", tuple(self._recipients), raw, by, tuple(self._forwarded))
            self._scribe.kept.append(letter)
        self._forget()

    # Saying and hearing.

    def _next(self, verb: str, usual: bytes) -> bytes:
        others = self._scribe.says.get(verb)
        return others.pop(0) if others else usual

    def _answer(self, verb: str, usual: bytes, *, is_usual: bool = True) -> bool:
        """Whether it was the usual."""
        answer = self._next(verb, usual) if is_usual else usual
        self._say(answer)
        return answer == usual

    def _say(self, answer: bytes) -> None:
        if answer == HANG_UP:
            raise _HungUp
        self._writer.write(answer + b"\r\n")

    async def _until(self, end: bytes, before: bytes = b"") -> bytes:
        """What comes up to `end`; `before` stands in front of it."""
        self._buffer = before + self._buffer
        looked = 0
        while (found := self._buffer.find(end, looked)) < 0:
            looked = max(0, len(self._buffer) - len(end))
            await self._read()
        taken, self._buffer = self._buffer[:found], self._buffer[found + len(end) :]
        if not self._scribe.reads:
            self._scribe.reads.append([])
        return taken

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._read()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    async def _read(self) -> None:
        block = await self._reader.read(1024 * 1024)
        if not block:
            raise _HungUp
        self._scribe.reads.append([])
        self._buffer += block


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found[1].decode("utf-8", "replace") if found else ""
