"""A raw IMAP client of the tests: it sends any bytes, and reads each response whole, literals included."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

LOOPBACK = "127.0.0.1"
LIMIT = 64 * 1024 * 1024
PATIENCE_SECONDS = 20.0
_LITERAL_FOLLOWS = re.compile(rb"\{(\d+)\}\r\n\Z")
# Behind the announcement of a literal without + a client waits for the server's go-ahead (RFC 9051 section 4.3).
_ANNOUNCED = re.compile(rb"\{(\d+)(\+?)\}\r\n")
# uvloop raises RuntimeError where a write meets a closed connection.
BROKEN = (OSError, RuntimeError, asyncio.IncompleteReadError)


class Closed(Exception):
    """The server closed the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came up to a tagged response: `untagged` without `* ` and CRLF; `tagged` without its tag, or empty where
    the server closed the connection instead."""

    tagged: bytes
    untagged: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> str:
        """OK, NO, BAD; CLOSED where the connection ended instead."""
        return self.tagged.split(b" ", 1)[0].decode().upper() if self.tagged else "CLOSED"


class Wire:
    """One connection. Commands get tags by themselves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._commands = 0
        self.greeting = b""
        # What came while something else was waited for.
        self.heard: list[bytes] = []

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect, and read the greeting."""
        reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=LIMIT)
        wire = cls(reader, writer)
        wire.greeting = await wire.response()
        return wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up, whatever the server is doing."""
        self._writer.close()

    async def send(self, data: bytes) -> None:
        """Bytes as they are. A connection that is gone is found out when the answer is read."""
        try:
            self._writer.write(data)
            await asyncio.wait_for(self._writer.drain(), PATIENCE_SECONDS)
        except BROKEN:
            pass

    async def response(self, within: float = PATIENCE_SECONDS) -> bytes:
        """One response with its literals, without the last CRLF. Raises Closed, TimeoutError."""
        async with asyncio.timeout(within):
            try:
                data = await self._reader.readuntil(b"\r\n")
                while found := _LITERAL_FOLLOWS.search(data):
                    data += await self._reader.readexactly(int(found[1]))
                    data += await self._reader.readuntil(b"\r\n")
            except BROKEN:
                raise Closed from None
        return data[:-2]

    async def command(self, text: bytes | str, within: float = PATIENCE_SECONDS) -> Answer:
        """Send a command, waiting before each literal that needs it, and read up to its tagged response. TimeoutError.

        A server may answer NO or BAD instead of asking for a literal: the rest of the command is not sent then."""
        self._commands += 1
        tag = b"t%d" % self._commands
        data = tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n"
        untagged = [_without_star(response) for response in self.heard]
        self.heard.clear()
        try:
            *first, last = _pieces(data)
            for piece in first:
                await self.send(piece)
                if tagged := await self._until(_is_go_ahead, tag, untagged, within):
                    return Answer(tagged, untagged)
            await self.send(last)
            return Answer(await self._until(_is_nothing, tag, untagged, within), untagged)
        except Closed:
            return Answer(b"", untagged)

    async def _until(self, ends: Callable[[bytes], bool], tag: bytes, untagged: list[bytes], within: float) -> bytes:
        """Read up to a tagged response, which is returned, or to one that `ends`."""
        while True:
            response = await self.response(within)
            if response.startswith(tag + b" "):
                return response[len(tag) + 1 :]
            if ends(response):
                return b""
            untagged.append(_without_star(response))

    async def login(self, address: str, password: str) -> Answer:
        """LOGIN, both as quoted strings."""
        return await self.command(f'LOGIN "{address}" "{password}"')

    async def hears(self, told: bytes, within: float = PATIENCE_SECONDS) -> Answer:
        """Wait, without a command, for a response with `told` in it: what IDLE is for. What else came first belongs
        to the next answer, unless it is heard of before."""
        early = [response for response in self.heard if told.upper() in response.upper()]
        if early:
            self.heard.remove(early[0])
            return _alone(early[0])
        while True:
            try:
                response = await self.response(within)
            except Closed:
                return Answer(b"")
            if told.upper() in response.upper():
                return _alone(response)
            self.heard.append(response)


def _alone(response: bytes) -> Answer:
    if response.startswith((b"* ", b"+")):
        return Answer(b"HEARD", [_without_star(response)])
    return Answer(response.partition(b" ")[2])


def _without_star(response: bytes) -> bytes:
    return response[2:] if response.startswith(b"* ") else response


def _is_go_ahead(response: bytes) -> bool:
    return response.startswith(b"+")


def _is_nothing(_response: bytes) -> bool:
    return False


def _pieces(command: bytes) -> list[bytes]:
    """A command cut behind the announcement of each literal that the server must be asked for."""
    pieces, start, at = [], 0, 0
    while found := _ANNOUNCED.search(command, at):
        at = found.end() + int(found[1])
        if at > len(command):
            break
        if not found[2]:
            pieces.append(command[start : found.end()])
            start = found.end()
    return [*pieces, command[start:]]


def literal(octets: bytes, *, plus: bool = False) -> bytes:
    """`octets` as a literal; with `plus` one that needs no go-ahead."""
    return b"{%d%s}\r\n%s" % (len(octets), b"+" if plus else b"", octets)
