"""The port: who is let in, how long he may be silent, and how it all ends. Keeps what all sessions have in common."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from services.ingest import metrics, replies
from services.ingest.budget import Budget
from services.ingest.handler import Handler
from services.ingest.replies import Reply
from services.ingest.server import IngestSMTP
from shared.certificate import Certificate
from shared.settings import Ingest

_BACKLOG = 1024
# One look at all sessions serves for every deadline, instead of a timer for every command.
_TICK_SECONDS = 1.0
# RFC 5321 section 4.5.3.2.7 asks for five minutes; not where others would find no place.
_STRESS = 0.8
_STRESSED_IDLE_SECONDS = 10.0
PART_SECONDS = 20.0


class Listener:
    """Listens, and knows every session."""

    def __init__(
        self, settings: Ingest, handler: Handler, budget: Budget, certificate: Certificate | None = None
    ) -> None:
        self.settings = settings
        self.handler = handler
        self.budget = budget
        self.certificate = certificate
        self.loop = asyncio.get_running_loop()
        # Coarse on purpose: sessions read it instead of the clock.
        self.now = self.loop.time()
        self.is_closing = False
        self.greeting = replies.greeting(settings.hostname)
        self._hello = replies.hello(settings.hostname)
        self._extended_hello = self._capabilities(["STARTTLS"] if certificate else [])
        self._extended_hello_over_tls = self._capabilities([])
        self._sessions: set[IngestSMTP] = set()
        self._by_address: Counter[str] = Counter()
        self._answers: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        metrics.CONNECTIONS.set_function(lambda: len(self._sessions))
        metrics.MEMORY_BYTES.set_function(lambda: budget.taken)
        self._last_left = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on, also where a free one was asked for."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises OSError where the port is in use."""
        self._server = await self.loop.create_server(
            lambda: IngestSMTP(self), self.settings.smtp_host, self.settings.smtp_port, backlog=_BACKLOG
        )

    async def watch_deadlines(self) -> None:
        """Look at every session's deadlines, until cancelled."""
        tick = min(_TICK_SECONDS, self.settings.idle_seconds / 4)
        while True:
            await asyncio.sleep(tick)
            self.now = self.loop.time()
            idle_seconds = self._idle_seconds()
            for session in list(self._sessions):
                session.check_deadlines(self.now, idle_seconds)

    async def close(self, within_seconds: float = PART_SECONDS) -> None:
        """Take no more connections, part from idle sessions, wait for letters under way."""
        self.is_closing = True
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.part()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._emptied()
        for session in list(self._sessions):
            session.abort()

    async def _emptied(self) -> None:
        if self._sessions:
            await self._last_left.wait()
        # Letters whose client has hung up are whole all the same.
        await self.handler.emptied()
        while self._answers:
            await asyncio.wait(self._answers)

    # What sessions call

    def hello(self, *, is_extended: bool, is_tls: bool) -> Reply:
        if not is_extended:
            return self._hello
        return self._extended_hello_over_tls if is_tls else self._extended_hello

    def admit(self, session: IngestSMTP) -> Reply | None:
        """Note a new session, or say why it must go."""
        address = session.session.peer or ""
        if self.is_closing:
            return replies.SHUTTING_DOWN
        if len(self._sessions) >= self.settings.connections:
            return replies.TOO_MANY_CONNECTIONS
        if self._by_address[address] >= self.settings.connections_per_address and not _is_loopback(address):
            return replies.TOO_MANY_FROM_ADDRESS
        self._by_address[address] += 1
        self._sessions.add(session)
        return None

    def forget(self, session: IngestSMTP) -> None:
        if session not in self._sessions:
            return
        self._sessions.remove(session)
        address = session.session.peer or ""
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if self.is_closing and not self._sessions:
            self._last_left.set()

    def keep(self, answer: Coroutine[Any, Any, Reply | None]) -> "asyncio.Task[Reply | None]":
        """Run `answer` to its end, whatever becomes of its session; the loop alone would forget it."""
        task = self.loop.create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return task

    def _idle_seconds(self) -> float:
        is_stressed = len(self._sessions) > self.settings.connections * _STRESS
        return min(self.settings.idle_seconds, _STRESSED_IDLE_SECONDS) if is_stressed else self.settings.idle_seconds

    def _capabilities(self, more: list[str]) -> Reply:
        size = f"SIZE {self.settings.max_message_bytes}"
        common = ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "HELP"]
        return replies.extended_hello(self.settings.hostname, [*common, *more])


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")
