"""A raw POP3 client of the tests, and what a server's answers mean as lines that two servers can be compared by."""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import Self

from tests.kit.imapwire import BROKEN, LIMIT, LOOPBACK, PATIENCE_SECONDS, Closed

# Commands whose answer has many lines (RFC 1939, 2449): always, or where no letter is named.
_LONG = {"RETR", "TOP", "CAPA"}
_LONG_ALONE = {"LIST", "UIDL"}
_SHOWN_OCTETS = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """`first` is the status line; `lines` what follows it up to the lone dot, the doubled dots undone."""

    first: bytes
    lines: list[bytes] | None = None

    @property
    def is_ok(self) -> bool:
        return self.first.startswith(b"+OK")


class PopWire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.greeting = b""

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect, and read the greeting."""
        wire = cls(*await asyncio.open_connection(LOOPBACK, port, limit=LIMIT))
        wire.greeting = await wire.line()
        return wire

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        with contextlib.suppress(*BROKEN):
            self._writer.write(data)
            await asyncio.wait_for(self._writer.drain(), PATIENCE_SECONDS)

    async def line(self, within: float = PATIENCE_SECONDS) -> bytes:
        """One line without CRLF. Raises Closed, TimeoutError."""
        async with asyncio.timeout(within):
            try:
                return (await self._reader.readuntil(b"\r\n"))[:-2]
            except BROKEN:
                raise Closed from None

    async def command(self, text: bytes, within: float = PATIENCE_SECONDS) -> Reply:
        """Send a line, and read all of its answer; an empty one where the server closed the connection."""
        await self.send(text + b"\r\n")
        try:
            first = await self.line(within)
            if not (first.startswith(b"+OK") and _is_long(text)):
                return Reply(first)
            return Reply(first, await self._lines(within))
        except Closed:
            return Reply(b"")

    async def _lines(self, within: float) -> list[bytes]:
        lines: list[bytes] = []
        while (line := await self.line(within)) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return lines


def _is_long(text: bytes) -> bool:
    name, *arguments = text.decode("latin-1").upper().split() or [""]
    return name in _LONG or (name in _LONG_ALONE and not arguments)


@dataclass(slots=True)
class PopFacts:
    """Reads the answers of one connection. Unique ids are a server's own: each is shown as the number of the letter
    that had it first."""

    _ids: dict[bytes, bytes] = field(default_factory=dict)

    def of(self, command: str, reply: Reply) -> list[str]:
        """The facts of an answer."""
        if not reply.first:
            return ["CLOSED"]
        status, _, text = reply.first.partition(b" ")
        name = command.upper().partition(" ")[0]
        facts = [status.decode("latin-1"), *_code(text)]
        if reply.is_ok:
            facts += self._told(name, text, reply.lines)
        return facts

    def _told(self, name: str, text: bytes, lines: list[bytes] | None) -> list[str]:
        match name:
            case "STAT":
                return [f"STAT {text.decode()}"]
            case "LIST" | "UIDL":
                told = [text] if lines is None else lines
                return sorted(f"{name} {self._own(name, line).decode()}" for line in told)
            case "CAPA":
                return sorted(f"CAPA {line.decode()}" for line in lines or [])
            case "RETR" | "TOP":
                return [_octets(b"".join(line + b"\r\n" for line in lines or []))]
            case _:
                return []

    def _own(self, name: str, line: bytes) -> bytes:
        number, _, value = line.partition(b" ")
        if name == "UIDL":
            value = b"of " + self._ids.setdefault(value, number)
        return number + b" " + value


def _code(text: bytes) -> list[str]:
    """A response code (RFC 2449 section 8)."""
    return [text.partition(b"]")[0].decode("latin-1").upper() + "]"] if text.startswith(b"[") else []


def _octets(octets: bytes) -> str:
    if len(octets) <= _SHOWN_OCTETS:
        return repr(octets)
    return f"{len(octets)} octets {hashlib.sha256(octets).hexdigest()[:16]} {octets[:_SHOWN_OCTETS]!r}..."
