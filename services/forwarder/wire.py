"""Our end of a connection to a main server, once it is greeted: bytes out, replies in.

It knows how many replies are due. One that nobody asked for breaks the connection: with commands sent many at a time
(RFC 2920), a reply taken for another's would count a letter as delivered that is not.
"""

import asyncio
import contextlib
from collections import deque
from typing import cast

from services.forwarder.reply import Reply, ReplyReader


class LineBroken(Exception):
    """The connection is of no more use. `code` is that of a reply which the server gave unasked before it hung up,
    as 421 or 552; 0 where there was none."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Wire(asyncio.Protocol):
    """Takes over `transport`, which must be idle. Used by one task at a time."""

    __slots__ = (
        "_broken",
        "_deadline",
        "_due",
        "_is_paused",
        "_loop",
        "_reader",
        "_replies",
        "_rings_at",
        "_timer",
        "_transport",
        "_waiter",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._due = 0
        self._is_paused = False
        self._broken: LineBroken | None = None
        self._waiter: asyncio.Future[None] | None = None
        # One timer for all waits: it is set anew when it rings, not for each wait.
        self._deadline = 0.0
        self._rings_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._transport = transport
        transport.set_protocol(self)

    # What a session does.

    @property
    def usable(self) -> bool:
        return self._broken is None and not self._transport.is_closing()

    @property
    def has_replies(self) -> bool:
        """Whether the next reply can be had without waiting."""
        return bool(self._replies)

    def write(self, data: bytes | memoryview, replies: int) -> None:
        """Send `data`, which asks for so many replies. Raises LineBroken: nothing of it was sent."""
        if self._broken is not None:
            raise LineBroken(self._broken.text, self._broken.code)
        if self._transport.is_closing():
            raise self._break("the connection is closed")
        self._due += replies
        try:
            self._transport.write(data)
        except (RuntimeError, OSError) as error:
            # uvloop's word for a connection that the server has closed is RuntimeError.
            raise self._break(str(error)) from error

    async def drained(self, seconds: float) -> None:
        """Until there is room to write more. Raises LineBroken, also where that takes longer than `seconds`."""
        deadline = self._loop.time() + seconds
        while self._is_paused and self._broken is None:
            await self._wait(deadline)
        if self._broken is not None:
            raise LineBroken(self._broken.text, self._broken.code)

    async def reply(self, seconds: float) -> Reply:
        """The next reply that is due. Raises LineBroken, also where it takes longer than `seconds`."""
        if not self._replies:
            # A reply that trickles gets no longer.
            deadline = self._loop.time() + seconds
            while not self._replies:
                if self._broken is not None:
                    raise LineBroken(self._broken.text, self._broken.code)
                await self._wait(deadline)
        return self._replies.popleft()

    def release(self) -> asyncio.Transport:
        """Give the transport back, idle, to be used by others; this wire is of no more use."""
        self._break("given back", abort=False)
        return self._transport

    def close(self) -> None:
        """Close in order: what was written is sent first. For the end of a session that is through."""
        self._break("closed by us", abort=False)
        with contextlib.suppress(RuntimeError, OSError):
            self._transport.close()

    def abort(self) -> None:
        """Close at once, and forget what was not sent: a server that does not read must not hold it."""
        self._break("closed by us")

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        for reply in self._reader.feed(data):
            if self._due:
                self._due -= 1
                self._replies.append(reply)
            else:
                self._break(f"unasked for: {reply.code} {reply.text}", reply.code if reply.code >= 400 else 0)
                return
        if self._reader.garbled is not None:
            self._break(self._reader.garbled)
            return
        self._wake()

    def eof_received(self) -> bool:
        self._break("the server has closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(str(exc) if exc is not None else "connection lost")

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake()

    # Waiting.

    async def _wait(self, deadline: float) -> None:
        """Until something has happened."""
        waiter = self._waiter = self._loop.create_future()
        self._set_timer(deadline)
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is not None:
            if self._rings_at <= deadline:
                return
            self._timer.cancel()
        self._rings_at = deadline
        self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._set_timer(self._deadline)
        else:
            self._break("no answer in time")

    def _break(self, text: str, code: int = 0, *, abort: bool = True) -> LineBroken:
        """The first cause counts. Replies that had come before are still to be had."""
        if self._broken is None:
            self._broken = LineBroken(text, code)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if abort:
                with contextlib.suppress(RuntimeError, OSError):
                    self._transport.abort()
            self._wake()
        return self._broken


def transport_of(transport: asyncio.BaseTransport | None) -> asyncio.Transport:
    """As asyncio means it: a TCP or TLS connection can be written to. Raises LineBroken where there is none."""
    if transport is None or transport.is_closing():
        raise LineBroken("the connection is closed")
    return cast(asyncio.Transport, transport)
