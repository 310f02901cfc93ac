"""One connection of a mail program: lines and octets in, answers out, TLS, and every deadline.

A session is one coroutine that is handed a Connection and returns when it is over; the door then closes. What it calls:

    await connection.read_line(limit)     a line without its end; LineTooLong leaves the connection as it should be
    await connection.read_exactly(octets) a literal
    await connection.skip(octets)         a literal that is refused and comes all the same (RFC 7888)
    await connection.write(data)          goes out with the next `flush`, or when much has gathered
    await connection.flush()              waits until the client has taken all but a little
    await connection.start_tls(reply)     says `reply`, then is TLS
    await connection.heard()              for IDLE: the client has said something (True), or `rouse` was called (False)

What is raised: Hangup, when nothing can be said any more; let it pass, the door expects it. Parting, when the session
has to end and may say why: TimeUp (silent too long, not logged in in time) or ServiceEnds. Whoever catches it says BYE
and returns.

Not asyncio's streams, but what lies below them: what came in clear before a handshake can be dropped for certain, a
deadline needs no timer for each command, and a stalled reader is told from a slow one.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from services.store.door.admission import is_loopback
from shared import logs

if TYPE_CHECKING:
    from services.store.door.listener import Door

log = logs.get("door")

# A client that sends on while it is answered is read no further than this.
AHEAD_BYTES = 64 * 1024
# Of a line that is too long: past it the connection is cut.
SKIPPED_BYTES = 1024 * 1024
# What is told of such a line: enough for a tag, and for a literal announced at its end.
_KEPT_BYTES = 256
# Between these, of what the client has not taken yet, `flush` waits.
LOW_WATER_BYTES, HIGH_WATER_BYTES = 64 * 1024, 256 * 1024
# Answers are sent in pieces of about this size.
_GATHERED_BYTES = 64 * 1024
# Commands that lie ready are served in a row, then others have their turn.
_LINES_IN_A_ROW = 50
HANDSHAKE_SECONDS = 10.0
# For the last words of a session that is over.
LINGER_SECONDS = 10.0


class Hangup(Exception):
    """The client is gone or was cut: nothing can be said to it any more."""


class Parting(Exception):
    """The session has to end; it may say why, and returns."""


class TimeUp(Parting):
    """The client was silent for too long, or has not logged in in time."""


class ServiceEnds(Parting):
    """This process is being stopped."""


class LineTooLong(Exception):
    """A line over the limit; it has been skipped to its end, and the session can go on.

    `start` and `end` are some of it: a tag, and `{123+}`, after which the client sends a literal whatever it is
    answered. Who takes that literal for commands lets a stranger's letter give orders.
    """

    def __init__(self, start: bytes, end: bytes) -> None:
        super().__init__(f"a line that begins with {start[:20]!r} is too long")
        self.start = start
        self.end = end


class Connection(asyncio.Protocol):
    """A connection. Made by the door."""

    def __init__(self, door: "Door", *, is_tls_from_start: bool = False) -> None:
        self.door = door
        self.peer = "unknown"
        self.is_tls_from_start = is_tls_from_start
        self._settings = door.settings
        self._loop = asyncio.get_running_loop()
        self._at_end: list[Callable[[], None]] = []
        # Coming in
        self._buffer = bytearray()
        self._reader: asyncio.Future[None] | None = None  # what waits for more
        self._may_interrupt = False
        self._quiet_since = self._loop.time()
        self._patience_seconds = 0.0
        self._idle_seconds = float("inf")
        self._log_in_by: float | None = self._quiet_since + self._settings.login_seconds
        self._lines_in_a_row = 0
        self._is_roused = False
        self._is_paused = False
        self._is_shaking_hands = False
        # Going out
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._writer: asyncio.Future[None] | None = None  # what waits for the client to take something
        self._is_blocked = False
        self._unsent = 0
        self._progress_at = 0.0
        # Ending
        self._must_leave = False
        self._is_ended = False  # the client has closed its side
        self._is_lost = False
        self._closed_at: float | None = None

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.peer)

    @property
    def is_tls(self) -> bool:
        return self.transport is not self._raw

    @property
    def is_private(self) -> bool:
        """Whether a password may be said here: over TLS, or on this machine (RFC 9051 section 6.2.3)."""
        return self.is_tls or self.is_loopback

    @property
    def can_start_tls(self) -> bool:
        """Whether STARTTLS is to be announced, and obeyed."""
        return self.door.certificate is not None and not self.is_tls

    def logged_in(self, idle_seconds: float) -> None:
        """From now on only silence ends the session. Before, it is the time since its begin, whatever is said."""
        self._log_in_by = None
        self._idle_seconds = idle_seconds

    def at_end(self, call: Callable[[], None]) -> None:
        """Have `call` called once the connection is gone; at once where it is."""
        if self._is_lost:
            call()
        else:
            self._at_end.append(call)

    # Reading

    async def read_line(self, limit: int) -> bytes:
        """The next line, without its CRLF or bare LF.

        Raises:
            LineTooLong: it has more than `limit` octets. All of it has been read.
            Hangup, Parting.
        """
        await self._take_turns()
        searched = 0
        self._begin_to_wait(self._idle_seconds)
        while (end := self._buffer.find(b"\n", searched)) < 0:
            if len(self._buffer) > limit + 1:
                raise await self._skip_line()
            searched = len(self._buffer)
            await self._more(may_interrupt=True)
        line = self._taken(end + 1)[:-1].removesuffix(b"\r")
        if len(line) > limit:
            raise LineTooLong(line[:_KEPT_BYTES], line[-_KEPT_BYTES:])
        return line

    async def read_exactly(self, octets: int) -> bytes:
        """A literal. It takes memory as it comes, and may come slowly, but has to come on.

        Raises:
            TimeUp: nothing of it came for `write_seconds`.
            Hangup.
        """
        self._begin_to_wait(min(self._settings.write_seconds, self._idle_seconds))
        while len(self._buffer) < octets:
            await self._more()
        return self._taken(octets)

    async def skip(self, octets: int) -> None:
        """Throw away what comes next. Raises as `read_exactly`."""
        self._begin_to_wait(min(self._settings.write_seconds, self._idle_seconds))
        while octets > len(self._buffer):
            octets -= len(self._buffer)
            self._buffer.clear()
            await self._more()
        del self._buffer[:octets]

    async def heard(self) -> bool:
        """Wait until the client has said something, True, or somebody called `rouse`, False; for that wait no other
        reading is allowed. To be roused does not end the client's silence.

        Raises:
            Hangup, Parting.
        """
        self._check_going_on()
        self._patience_seconds = self._idle_seconds
        while not self._buffer and not self._is_roused:
            await self._more(may_interrupt=True)
        was_roused, self._is_roused = self._is_roused, False
        return not was_roused

    def rouse(self) -> None:
        """Have `heard` return, now or when it is called next."""
        self._is_roused = True
        self._wake_reader()

    async def _take_turns(self) -> None:
        """A client that sends thousands of commands at once must not have this process for itself."""
        self._lines_in_a_row += 1
        if self._lines_in_a_row > _LINES_IN_A_ROW:
            self._lines_in_a_row = 0
            await asyncio.sleep(0)
        self._check_going_on()

    def _check_going_on(self) -> None:
        if self._must_leave:
            raise ServiceEnds
        if self._log_in_by is not None and self._loop.time() > self._log_in_by:
            raise TimeUp

    def _begin_to_wait(self, patience_seconds: float) -> None:
        self._quiet_since = self._loop.time()
        self._patience_seconds = patience_seconds

    async def _more(self, *, may_interrupt: bool = False) -> None:
        """Wait until something has come in. May return without anything new."""
        if self._is_ended or self.transport.is_closing():
            raise Hangup
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        self._lines_in_a_row = 0
        self._may_interrupt = may_interrupt
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None
            self._may_interrupt = False

    def _taken(self, octets: int) -> bytes:
        data = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return data

    async def _skip_line(self) -> LineTooLong:
        start, skipped = bytes(self._buffer[:_KEPT_BYTES]), 0
        while (at := self._buffer.find(b"\n")) < 0:
            surplus = len(self._buffer) - _KEPT_BYTES
            if surplus > 0:
                skipped += surplus
                del self._buffer[:surplus]
            if skipped > SKIPPED_BYTES:
                log.info("line_without_end", door=self.door.name, client=self.peer)
                self.abort()
                raise Hangup
            await self._more(may_interrupt=True)
        return LineTooLong(start, self._taken(at + 1)[:-1].removesuffix(b"\r")[-_KEPT_BYTES:])

    # Writing

    async def write(self, data: bytes) -> None:
        """Say `data`, at the latest with the next `flush`. Raises Hangup."""
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes >= _GATHERED_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Send what was written; wait while the client has much of it still to take.

        Raises:
            Hangup: the client is gone, or has taken nothing for `write_seconds`.
        """
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        await self._unblocked()
        for at in range(0, len(data), HIGH_WATER_BYTES):
            self.transport.write(data[at : at + HIGH_WATER_BYTES])
            await self._unblocked()

    async def _unblocked(self) -> None:
        while self._is_blocked and not self._is_lost:
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        # uvloop answers a write to a closed transport with a RuntimeError.
        if self._is_lost or self.transport.is_closing():
            raise Hangup

    # TLS

    async def start_tls(self, reply: bytes) -> None:
        """Say `reply` and hand the connection to TLS (RFC 9051 section 6.2.1, RFC 2595 section 4).

        What came behind the command came in clear, maybe from somebody in the middle: it is dropped. What comes from
        now on is left to the handshake, which such words cannot pass. The session forgets what it knew before.

        Raises:
            Hangup: no handshake in time, or none that holds.
        """
        self.transport.pause_reading()
        self._is_shaking_hands = True
        self._buffer.clear()
        await self.write(reply)
        await self.flush()
        await self.shake_hands()

    async def shake_hands(self) -> None:
        """Become TLS. Raises Hangup."""
        if self.door.certificate is None:
            raise RuntimeError("TLS without a certificate: ask can_start_tls first")
        self._is_shaking_hands = True
        seconds = min(HANDSHAKE_SECONDS, self._settings.login_seconds)
        shaking = self._loop.start_tls(
            self._raw, self, self.door.certificate.context(), server_side=True, ssl_handshake_timeout=seconds
        )
        try:
            transport = await self._handing_on_what_came(shaking) if self.is_tls_from_start else await shaking
        except OSError as error:
            log.info("tls_failed", door=self.door.name, client=self.peer, error=str(error))
            self.abort()
            raise Hangup from None
        if transport is None or self._is_lost:
            raise Hangup
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)
        self.transport = transport
        self._is_shaking_hands = False
        self._quiet_since = self._loop.time()

    async def _handing_on_what_came(
        self, shaking: Coroutine[Any, Any, asyncio.Transport | None]
    ) -> asyncio.Transport | None:
        """On the port for TLS the first octets may be here before the handshake is begun: they are part of it."""
        task = self._loop.create_task(shaking)
        # The first step puts TLS into our place, where it waits for the next turn of the loop before it looks.
        await asyncio.sleep(0)
        came = self._taken(len(self._buffer))
        if came and not task.done():
            tls = cast(asyncio.BufferedProtocol, self._raw.get_protocol())
            memoryview(tls.get_buffer(len(came)))[: len(came)] = came
            tls.buffer_updated(len(came))
        return await task

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = self._raw = cast(asyncio.Transport, transport)
        self.peer = _address(transport.get_extra_info("peername"))
        self._raw.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)
        # The loop does so by itself; an answer in two pieces must not wait for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.door.admit(self)

    def data_received(self, data: bytes) -> None:
        if self._closed_at is not None:
            return
        self._quiet_since = self._loop.time()
        self._buffer += data
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        elif len(self._buffer) > AHEAD_BYTES and not self._is_paused and not self._is_shaking_hands:
            self._is_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """True keeps our side open for the answers to what has come; over TLS there is no half-closing."""
        self._is_ended = True
        self._wake_reader(Hangup())
        return not self.is_tls and not self._is_shaking_hands

    def connection_lost(self, error: Exception | None) -> None:
        self._lose()

    def pause_writing(self) -> None:
        self._is_blocked = True
        self._unsent, self._progress_at = self._unsent_bytes(), self._loop.time()

    def resume_writing(self) -> None:
        self._is_blocked = False
        self._wake_writer()

    # What the door calls

    def check_deadlines(self, now: float) -> None:
        """End a session that is silent for too long, or a client that takes nothing."""
        if self._closed_at is not None:
            if now - self._closed_at > LINGER_SECONDS:
                self.abort()
        elif self._is_blocked:
            self._check_progress(now)
        elif self._reader is not None:
            is_late = self._log_in_by is not None and now > self._log_in_by
            if is_late or now - self._quiet_since > self._patience_seconds:
                self._wake_reader(TimeUp())

    def part(self) -> None:
        """The service ends: the session is told when it next reads a command, now if it does."""
        self._must_leave = True
        if self._may_interrupt:
            self._wake_reader(ServiceEnds())

    def refuse(self, words: bytes) -> None:
        """Say why there is no session, and close. To who expects a handshake there is no way to say it."""
        if not self.is_tls_from_start:
            self.transport.write(words)
        self.close()

    def close(self) -> None:
        """Close, once what was said last is taken; but not for ever."""
        if self._closed_at is not None or self._is_lost:
            return
        self._closed_at = self._loop.time()
        if self._is_shaking_hands:
            self.abort()
        else:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._raw.abort()
        self._lose()

    def _check_progress(self, now: float) -> None:
        unsent = self._unsent_bytes()
        if unsent < self._unsent:
            self._progress_at = now
        self._unsent = unsent
        if now - self._progress_at > self._settings.write_seconds:
            log.info("reader_stalled", door=self.door.name, client=self.peer, unsent=unsent)
            self.abort()

    def _unsent_bytes(self) -> int:
        below = self._raw.get_write_buffer_size() if self.is_tls else 0
        return self.transport.get_write_buffer_size() + below

    def _lose(self) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_ended = True
        self._wake_reader(Hangup())
        self._wake_writer()
        self.door.forget(self)
        for call in self._at_end:
            call()
        self._at_end.clear()

    def _wake_reader(self, error: Exception | None = None) -> None:
        if self._reader is None or self._reader.done():
            return
        if error is not None:
            self._reader.set_exception(error)
        else:
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)


def _address(peername: Any) -> str:
    """The client's address; IPv4 in its own form where it came by a socket for both."""
    return str(peername[0]).removeprefix("::ffff:") if peername else "unknown"
