"""A stand-in main server of the tests: keeps every letter's bytes, envelope and time, and has any temper asked of it.

A temper is a coroutine that is asked at each stage of a session what to say instead of the usual. It may answer, wait
for ever, or raise `Dropped`. What was said 250 to, or kept before the line was dropped, is in `taken`.

What a temper cannot say, a manner can: it has the whole connection in its hands (tests/kit/misbehaviours.py has many).
"""

import asyncio
import socket
import ssl
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from tests.kit.session import Dropped as Dropped
from tests.kit.session import Manner, Session, Taken
from tests.kit.session import Temper as Temper

LOOPBACK = "127.0.0.1"
LIMIT = 128 * 1024 * 1024
# Enough to fill the queue of a listening socket that nobody accepts from.
FILLERS = 4


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


def unhurried(seconds: float) -> Temper:
    """Takes its time with each reply."""

    async def wait(stage: str, _said: bytes) -> bytes | None:
        # No reply belongs to these two: what is said to the letter is said once it is kept.
        if stage not in ("BODY", "DOT"):
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
    announces: tuple[bytes, ...] = (b"PIPELINING",)
    # How it plays every connection; None: as usual. `misdeeds` counts what it did that was not usual.
    manner: Manner | None = None
    misdeeds: int = 0
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    transactions: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)
    # What holds the port while nobody serves it.
    _held: list[socket.socket] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a user's target_server says."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def open_sessions(self) -> int:
        return len(self._sessions)

    async def come_back(self) -> None:
        """Listen; always on the same port."""
        self._let_go()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port, limit=LIMIT, backlog=1000)
            self.port = self._server.sockets[0].getsockname()[1]

    async def behave(self) -> None:
        """Be as usual from now on, for the connections that are open, too."""
        self.manner = None
        await self.come_back()

    async def refuse(self) -> None:
        """Refuse every connection, and keep the port: nobody else is given it meanwhile."""
        await self.go_away()
        self._hold()
        self.misdeeds += 1

    async def vanish(self) -> None:
        """Be a black hole: with nobody to accept and the queue full, Linux drops whoever asks for a connection."""
        await self.go_away()
        self._hold().listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, self.port))
            self._held.append(filler)
        self.misdeeds += 1

    def _hold(self) -> socket.socket:
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, self.port))
        self._held.append(holder)
        return holder

    def _let_go(self) -> None:
        while self._held:
            self._held.pop().close()

    async def go_away(self) -> None:
        """Close the port, and cut every connection."""
        self._let_go()
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
        self.manner = None
        self.taken.clear()
        self.connections = self.transactions = self.misdeeds = 0

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
        task = asyncio.ensure_future(Session(self, reader, writer).run())
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
