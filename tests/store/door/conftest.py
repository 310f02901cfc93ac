"""A door on real sockets, with a little protocol of the tests' own behind it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.store.door.admission import Admission
from services.store.door.connection import Connection, LineTooLong, Parting
from services.store.door.listener import Door
from shared.certificate import Certificate
from shared.settings import Store
from tests.dialogues.certificate import self_signed

LINE_LIMIT = 100
IDLE_SECONDS = 0.5
TOO_MANY = b"too many\r\n"


@dataclass
class Echo:
    """Says every line back; a few begin with a verb that makes it do something."""

    sessions: list[Connection] = field(default_factory=list)
    ended: int = 0
    said: list[bytes] = field(default_factory=list)

    async def serve(self, connection: Connection) -> None:
        self.sessions.append(connection)
        try:
            await self._say(connection, b"hello")
            while await self._answer(connection):
                await connection.flush()
        except Parting as parting:
            await self._say(connection, type(parting).__name__.encode())
        finally:
            self.ended += 1

    async def _say(self, connection: Connection, line: bytes) -> None:
        await connection.write(line + b"\r\n")
        await connection.flush()

    async def _answer(self, connection: Connection) -> bool:
        try:
            line = await connection.read_line(LINE_LIMIT)
        except LineTooLong as error:
            await connection.write(b"too long: %s ... %s\r\n" % (error.start[:5], error.end[-5:]))
            return True
        self.said.append(line)
        verb, _, argument = line.partition(b" ")
        if verb == b"starttls":
            await connection.start_tls(b"go ahead\r\n")
        elif verb == b"read":
            await connection.write(b"read %d\r\n" % len(await connection.read_exactly(int(argument))))
        elif verb == b"skip":
            await connection.skip(int(argument))
            await connection.write(b"skipped\r\n")
        elif verb == b"big":
            await connection.write(b"x" * int(argument) + b"\r\n")
        elif verb == b"login":
            connection.logged_in(IDLE_SECONDS)
            await connection.write(b"in\r\n")
        elif verb == b"wait":
            while not await connection.heard():
                await self._say(connection, b"roused")
        elif verb == b"fail":
            raise ValueError("as a session does that has a bug")
        elif verb == b"quit":
            await connection.write(b"bye\r\n")
            return False
        else:
            await connection.write(line + b"\r\n")
        return True


@dataclass
class Client:
    """The other end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def line(self) -> bytes:
        """The next line without its end; empty at the end of the connection."""
        return (await asyncio.wait_for(self.reader.readline(), 30)).removesuffix(b"\r\n")

    async def ask(self, line: bytes) -> bytes:
        self.say(line + b"\r\n")
        return await self.line()

    async def is_cut(self) -> bool:
        """Waits for the end of the connection, whatever comes before it."""
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 30)
        return True


def trusting() -> ssl.SSLContext:
    """A client that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Entrance:
    """A door that is open, and ways through it."""

    door: Door
    echo: Echo
    clients: list[Client] = field(default_factory=list)

    async def client(self, *, tls: bool = False, source: str = "127.0.0.1", greeting: bytes = b"hello") -> Client:
        port = self.door.tls_port if tls else self.door.port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting() if tls else None, local_addr=(source, 0)
        )
        client = Client(reader, writer)
        self.clients.append(client)
        assert await client.line() == greeting
        return client

    def close_clients(self) -> None:
        for client in self.clients:
            client.writer.transport.abort()


Opening = Callable[..., contextlib.AbstractAsyncContextManager[Entrance]]
Served = Callable[[Connection], Awaitable[None]]


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    """Opens a door with settings."""

    @contextlib.asynccontextmanager
    async def opened(
        *,
        certificate: bool = True,
        serve: Served | None = None,
        admission: Admission | None = None,
        port: int = 0,
        **settings: Any,
    ) -> AsyncIterator[Entrance]:
        chosen, echo = Store(**settings), Echo()
        door = Door(
            "imap",
            chosen,
            serve or echo.serve,
            port=port,
            tls_port=0,
            admission=admission or Admission(chosen),
            certificate=Certificate(self_signed(tmp_path / "door.pem"), None) if certificate else None,
            too_many=TOO_MANY,
        )
        async with door:
            entrance = Entrance(door, echo)
            yield entrance
            entrance.close_clients()

    return opened


@pytest.fixture
async def entrance(opening: Opening) -> AsyncIterator[Entrance]:
    """One with the settings of production."""
    async with opening() as entrance:
        yield entrance
