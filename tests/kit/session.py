"""One connection of the tests' main server: the usual SMTP session, and the deeds of one that is not as usual."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kit.mainserver import MainServer

_ID = re.compile(rb"\sid\s+([0-9A-HJKMNP-TV-Z]{26})\b")
_PATH = re.compile(rb":\s*<([^>]*)>")

# Asked with the stage (CONNECT, EHLO, MAIL, RCPT, DATA, DOT, KEPT ...) and what the client said there; None: the usual.
Temper = Callable[[str, bytes], Awaitable[bytes | None]]
# Plays one connection from its first byte; returns where the connection is to be closed in order.
Manner = Callable[["Session"], Awaitable[None]]
# What is done at one stage instead of the usual: a reply, or a coroutine that is handed what the client said there and
# returns a reply, or None for the usual one.
Deed = bytes | Callable[[bytes], Awaitable[bytes | None]]
# The pieces in which a reply is written, with a moment between them.
Voice = Callable[[bytes], Iterable[bytes]]
BETWEEN_PIECES_SECONDS = 0.005


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


@dataclass(slots=True)
class Session:
    """One connection. A manner plays it with what is public here."""

    server: "MainServer"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    # None: no MAIL has been taken.
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    is_secure: bool = False
    is_known: bool = False
    # What it began with: a server that behaves again does so on connections that are open, too.
    manner: Manner | None = field(init=False)
    tls: ssl.SSLContext | None = field(init=False)
    # How replies are written; None: at once.
    voice: Voice | None = None
    between_pieces_seconds: float = BETWEEN_PIECES_SECONDS
    _instead: dict[str, Deed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.manner = self.server.manner
        self.tls = self.server.tls

    async def run(self) -> None:
        try:
            if self.manner is None:
                await self.play()
            else:
                await self.manner(self)
            self.writer.close()
            await self.writer.wait_closed()
        except (Dropped, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            with contextlib.suppress(Exception):
                self.writer.transport.abort()

    async def play(self, **instead: Deed) -> None:
        """Everything as usual, but for the stages named; those too, once the server behaves again."""
        self._instead = instead
        await self._say("CONNECT", b"", b"220 main.test ESMTP")
        while True:
            line = await self.hear()
            verb = line[:4].upper().strip().decode("ascii", "replace")
            await self._command(verb, line)

    def offer(self, tls: ssl.SSLContext | None) -> None:
        """Offer STARTTLS with another certificate than the server's own, or not at all."""
        self.server.misdeeds += 1
        self.tls = tls

    async def hear(self) -> bytes:
        """The next line that the client says, without its end."""
        return (await self.reader.readuntil(b"\r\n")).rstrip(b"\r\n")

    async def say(self, reply: bytes) -> None:
        """A line of our own."""
        await self.send(reply + b"\r\n")

    async def send(self, raw: bytes) -> None:
        """These bytes and no more."""
        self.server.misdeeds += 1
        await self._write(raw)

    async def pour(self, raw: bytes, every_seconds: float) -> None:
        """These bytes again and again, until the client has gone."""
        while not self.reader.at_eof():
            await self.send(raw)
            await asyncio.sleep(every_seconds)
        raise Dropped

    async def hang(self, _said: bytes = b"") -> None:
        """Say nothing any more, whatever comes, until the client has gone."""
        self.server.misdeeds += 1
        while await self.reader.read(65536):
            pass
        raise Dropped

    async def stall(self, _said: bytes = b"") -> None:
        """Read nothing any more."""
        self.server.misdeeds += 1
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async def close(self, _said: bytes = b"") -> None:
        """Close the connection once what was said has left."""
        self.server.misdeeds += 1
        self.writer.close()
        await self.writer.wait_closed()
        raise Dropped

    async def drop(self, _said: bytes = b"") -> None:
        """Close the connection, without another word."""
        self.server.misdeeds += 1
        raise Dropped

    async def reset(self, _said: bytes = b"") -> None:
        """Reset the connection (RST), so that what is under way is lost."""
        self.server.misdeeds += 1
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Dropped

    async def _write(self, raw: bytes) -> None:
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except RuntimeError as error:
            # uvloop's word for a connection that is closed.
            raise ConnectionResetError from error

    async def _reply(self, reply: bytes) -> None:
        if self.voice is None or self.server.manner is not self.manner:
            await self._write(reply + b"\r\n")
            return
        self.server.misdeeds += 1
        for number, piece in enumerate(self.voice(reply + b"\r\n")):
            # Nothing behind the last one: what the client says next may be the beginning of TLS.
            await asyncio.sleep(self.between_pieces_seconds if number else 0)
            await self._write(piece)

    async def _other(self, stage: str, said: bytes) -> bytes | None:
        """What is to be said here instead of the usual, if anything."""
        deed = self._instead.get(stage) if self.server.manner is self.manner else None
        if deed is None:
            return await self.server.temper(stage, said)
        other = deed if isinstance(deed, bytes) else await deed(said)
        self.server.misdeeds += other is not None
        return other

    async def _say(self, stage: str, said: bytes, usual: bytes) -> bool:
        """Answer as the temper wants; whether it was the usual."""
        other = await self._other(stage, said)
        await self._reply(usual if other is None else other)
        return other is None

    async def _command(self, verb: str, line: bytes) -> None:
        match verb:
            case "EHLO" | "HELO":
                await self._say(verb, line, self._capabilities())
            case "MAIL":
                await self._mail(line)
            case "RCPT":
                await self._recipient(line)
            case "DATA":
                await self._data(line)
            case "BDAT":
                await self._chunk(line)
            case "QUIT":
                await self._say("QUIT", line, b"221 2.0.0 Bye")
                raise Dropped
            case "STAR" if self.tls is not None:
                await self._start_tls(line)
            case "AUTH":
                await self._authenticate(line)
            case "RSET" | "NOOP":
                self._forget_letter()
                await self._say(verb, line, b"250 2.0.0 Ok")
            case _:
                await self._reply(b"502 5.5.1 Not known")

    def _capabilities(self) -> bytes:
        words = [b"main.test", b"8BITMIME", b"SMTPUTF8", b"SIZE 0", b"ENHANCEDSTATUSCODES", *self.server.announces]
        if self.tls is not None and not self.is_secure:
            words.append(b"STARTTLS")
        if self.server.login is not None:
            words.append(b"AUTH PLAIN")
        return b"\r\n".join(b"250-" + word for word in words[:-1]) + b"\r\n250 " + words[-1]

    async def _mail(self, line: bytes) -> None:
        self.server.transactions += 1
        self.server.changed.set()
        if self.server.login is not None and not self.is_known:
            await self._reply(b"530 5.7.0 Authentication required")
            return
        self._forget_letter()
        if await self._say("MAIL", line, b"250 2.1.0 Ok"):
            self.sender = _path(line)

    async def _recipient(self, line: bytes) -> None:
        if self.sender is None:
            await self._reply(b"503 5.5.1 MAIL first")
        elif await self._say("RCPT", line, b"250 2.1.5 Ok"):
            self.recipients.append(_path(line))

    def _forget_letter(self) -> None:
        self.sender = None
        self.recipients.clear()
        self.chunks.clear()

    async def _data(self, line: bytes) -> None:
        if not self.recipients:
            await self._reply(b"503 5.5.1 No recipients")
            return
        if not await self._say("DATA", line, b"354 Go on"):
            return
        await self._other("BODY", b"")
        await self._end(await self._letter())

    async def _chunk(self, line: bytes) -> None:
        """RFC 3030 section 2: the chunk comes behind the command, whatever is said to it."""
        _, number, *last = line.split()
        await self._other("BODY", b"")
        self.chunks.append(await self.reader.readexactly(int(number)))
        other = await self._other("BDAT", line)
        if other is not None or not self.recipients:
            await self._reply(other or b"503 5.5.1 No recipients")
        elif last:
            await self._end(b"".join(self.chunks))
        else:
            await self._reply(b"250 2.0.0 Ok")

    async def _end(self, raw: bytes) -> None:
        """The whole letter has come."""
        refusal = await self._other("DOT", raw)
        if refusal is not None:
            await self._reply(refusal)
        else:
            self._keep(raw)
            await self._say("KEPT", raw, b"250 2.0.0 Ok: kept")
        self._forget_letter()

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
        self.server.taken.append(Taken(receipt_id, self.sender or "", tuple(self.recipients), raw, time.time()))
        self.server.changed.set()

    async def _start_tls(self, line: bytes) -> None:
        if not await self._say("STARTTLS", line, b"220 2.0.0 Go on") or self.tls is None:
            return
        other = await self._other("HANDSHAKE", b"")
        if other is not None:
            await self.say(other)
            await self.hang()
        await self.writer.start_tls(self.tls)
        self.is_secure = True

    async def _authenticate(self, line: bytes) -> None:
        given = b64decode(line.split(b" ")[-1]).decode().split("\0")[1:]
        self.is_known = tuple(given) == self.server.login
        usual = b"235 2.7.0 Welcome" if self.is_known else b"535 5.7.8 No"
        await self._say("AUTH", line, usual)


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found[1].decode("utf-8", "replace").lower() if found else ""
