"""A gate in front of a real server: shut, the server is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

LOOPBACK = "127.0.0.1"


class Gate:
    """Passes connections on to a port of loopback."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Pass connections on, from the same port each time."""
        self._server = await asyncio.start_server(self._pass, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Cut what passes, and let nothing pass."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(LOOPBACK, self._to_port)
        self._writers |= {writer, there[1]}
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        while data := await reader.read(256 * 1024):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    """An open gate, for the length of a block."""
    gate = Gate(port)
    await gate.open()
    yield gate
    await gate.shut()
