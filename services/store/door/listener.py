"""A door: its two ports, who is admitted, and how its sessions end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from services.store.door import metrics
from services.store.door.admission import Admission
from services.store.door.connection import Connection, Hangup, Parting
from shared import logs
from shared.certificate import Certificate
from shared.settings import SettingsError, Store

log = logs.get("door")

Serve = Callable[[Connection], Awaitable[None]]

_BACKLOG = 1024
# One look at all connections serves for every deadline, instead of a timer for each.
_TICK_SECONDS = 1.0
# Doors close one after the other, and `make run` stops within 30 s.
PART_SECONDS = 5.0


class Door:
    """Listens for one protocol, on a plain port and, with a certificate, on one for TLS. For `async with`.

    `serve` is called with each connection that is admitted and returns when its session is over. It greets first; it
    lets Hangup pass; it may let Parting pass where it has no words for it. Any other exception is logged and ends the
    connection. `too_many` is said in full to who is not admitted, as b"* BYE too many connections\\r\\n".
    """

    def __init__(
        self,
        name: Literal["imap", "pop3"],
        settings: Store,
        serve: Serve,
        *,
        port: int,
        tls_port: int,
        admission: Admission,
        certificate: Certificate | None,
        too_many: bytes,
    ) -> None:
        self.name = name
        self.settings = settings
        self.certificate = certificate
        self.is_closing = False
        self._serve = serve
        self._wanted_ports = (port, tls_port)
        self._admission = admission
        self._idle_seconds = 60 * min(settings.imap_idle_minutes, settings.pop3_idle_minutes)
        self._too_many = too_many
        self._connections: set[Connection] = set()
        self._sessions: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._watch: asyncio.Task[None] | None = None
        self._last_gone = asyncio.Event()

    @property
    def port(self) -> int:
        """The plain port, also where a free one was asked for."""
        return _port(self._servers[0])

    @property
    def tls_port(self) -> int | None:
        """The port for TLS; None without a certificate."""
        return _port(self._servers[1]) if self.certificate else None

    async def __aenter__(self) -> "Door":
        """Listen. Raises SettingsError: a port or the address cannot be used."""
        try:
            for port, is_tls in zip(self._wanted_ports, (False, True), strict=True):
                if self.certificate is not None or not is_tls:
                    self._servers.append(await self._listen(port, is_tls=is_tls))
        except OSError as error:
            await self.close(0)
            raise SettingsError(f"{self.name}: cannot listen on {self.settings.mailbox_host}: {error}") from None
        self._watch = asyncio.ensure_future(self._watch_deadlines())
        log.info("listening", door=self.name, port=self.port, tls_port=self.tls_port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, within_seconds: float = PART_SECONDS) -> None:
        """Take no more connections, part from the sessions, and cut those that are not over in time."""
        self.is_closing = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.part()
        await self._wait_for_end(within_seconds)
        for connection in list(self._connections):
            connection.abort()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._watch is not None:
            self._watch.cancel()

    # What connections call

    def admit(self, connection: Connection) -> None:
        """Begin a session, or refuse it."""
        if self.is_closing or not self._admission.take(connection.peer):
            connection.refuse(self._too_many)
            return
        self._connections.add(connection)
        metrics.SESSIONS[self.name].inc()
        session = asyncio.ensure_future(self._run(connection))
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._admission.free(connection.peer)
            metrics.SESSIONS[self.name].dec()
            if self.is_closing and not self._connections:
                self._last_gone.set()

    async def _run(self, connection: Connection) -> None:
        try:
            if connection.is_tls_from_start:
                await connection.shake_hands()
            with contextlib.suppress(Parting):
                await self._serve(connection)
            await connection.flush()
        except Hangup:
            pass
        except Exception:
            log.exception("session_failed", door=self.name, client=connection.peer)
        finally:
            connection.close()

    async def _listen(self, port: int, *, is_tls: bool) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(self, is_tls_from_start=is_tls), _hosts(self.settings), port, backlog=_BACKLOG
        )

    async def _watch_deadlines(self) -> None:
        loop = asyncio.get_running_loop()
        shortest = min(self.settings.login_seconds, self.settings.write_seconds, self._idle_seconds)
        tick = min(_TICK_SECONDS, shortest / 4)
        while True:
            await asyncio.sleep(tick)
            for connection in list(self._connections):
                connection.check_deadlines(loop.time())

    async def _wait_for_end(self, within_seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self._sessions:
                    await asyncio.wait(self._sessions)
                if self._connections:
                    await self._last_gone.wait()


def _hosts(settings: Store) -> Sequence[str]:
    return [host for part in settings.mailbox_host.split(",") if (host := part.strip().strip("[]"))]


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
