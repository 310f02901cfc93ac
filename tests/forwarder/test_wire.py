"""Our end of a connection, on asyncio's loop and on uvloop's, in clear and within TLS, against a real socket."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from services.forwarder.reply import Reply
from services.forwarder.wire import LineBroken, Wire, transport_of
from tests.kit import certificates

LOOPBACK = "127.0.0.1"
Run = Callable[[Coroutine[Any, Any, None]], Any]
RUNS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
TLS = pytest.mark.parametrize("is_secure", [False, True], ids=["clear", "tls"])


@dataclass(slots=True)
class Line:
    """A wire and the other end of it."""

    wire: Wire
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def broken(self) -> None:
        """Until it has noticed."""
        for _ in range(500):
            if not self.wire.usable:
                return
            await asyncio.sleep(0.01)

    async def pour(self) -> int:
        """Write until it breaks or there were 256 MiB; how much that was."""
        written = 0
        with contextlib.suppress(LineBroken):
            while written < 1 << 28:
                self.wire.write(b"x" * 65536, 0)
                written += 65536
                await self.wire.drained(0.3)
        return written


@contextlib.asynccontextmanager
async def line(*, is_secure: bool = False) -> AsyncIterator[Line]:
    ends: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    context = certificates.good() if is_secure else None
    server = await asyncio.start_server(lambda *end: ends.put_nowait(end), LOOPBACK, 0, ssl=context)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, LOOPBACK, port, ssl=trusting if is_secure else None)
    reader, writer = await ends.get()
    yield Line(Wire(transport_of(transport)), reader, writer)
    transport.abort()
    writer.close()
    server.close()


async def on(run: Run, scenario: Callable[[Line], Awaitable[None]], *, is_secure: bool = False) -> None:
    """Play `scenario` on a loop of its own."""

    async def play() -> None:
        async with asyncio.timeout(20), line(is_secure=is_secure) as ends:
            await scenario(ends)

    await asyncio.to_thread(run, play())


@RUNS
@TLS
async def test_replies_come_in_the_order_in_which_they_were_asked_for(run: Run, is_secure: bool) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"MAIL\r\nRCPT\r\nDATA\r\n", 3)
        assert await ends.reader.readexactly(18) == b"MAIL\r\nRCPT\r\nDATA\r\n"
        await ends.say(b"250 one\r\n250-two\r\n")
        assert await ends.wire.reply(5) == Reply(250, b"one")
        await ends.say(b"250 and a half\r\n354 three\r\n")
        assert [await ends.wire.reply(5) for _ in range(2)] == [Reply(250, b"two\nand a half"), Reply(354, b"three")]
        assert ends.wire.usable

    await on(run, scenario, is_secure=is_secure)


@RUNS
@TLS
async def test_a_reply_out_of_nowhere_breaks_the_connection(run: Run, is_secure: bool) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"NOOP\r\n", 1)
        await ends.say(b"250 Ok\r\n421 4.4.2 Timeout\r\n")
        assert await ends.wire.reply(5) == Reply(250, b"Ok")
        await ends.broken()
        with pytest.raises(LineBroken) as broken:
            ends.wire.write(b"MAIL\r\n", 1)
        assert (broken.value.code, broken.value.text) == (421, "unasked for: 421 4.4.2 Timeout")

    await on(run, scenario, is_secure=is_secure)


@RUNS
@TLS
async def test_a_write_to_a_connection_that_is_closed_is_told_as_broken(run: Run, is_secure: bool) -> None:
    async def scenario(ends: Line) -> None:
        ends.writer.transport.abort()
        await ends.broken()
        with pytest.raises(LineBroken):
            ends.wire.write(b"NOOP\r\n", 1)
        with pytest.raises(LineBroken):
            await ends.wire.reply(5)

    await on(run, scenario, is_secure=is_secure)


@RUNS
async def test_a_transport_closed_without_our_knowledge_is_told_as_broken(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire._transport.abort()
        with pytest.raises(LineBroken):
            ends.wire.write(b"NOOP\r\n", 1)

    await on(run, scenario)


@RUNS
async def test_an_answer_given_before_hanging_up_is_still_heard(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"MAIL\r\nRCPT\r\n", 2)
        await ends.say(b"421 4.3.2 Closing\r\n")
        ends.writer.close()
        await ends.broken()
        assert (await ends.wire.reply(5)).code == 421
        with pytest.raises(LineBroken):
            await ends.wire.reply(5)

    await on(run, scenario)


@RUNS
async def test_each_wait_has_its_own_end(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        loop = asyncio.get_running_loop()
        # A long wait first: the timer is set anew for a shorter one, and left as it is for a longer.
        for seconds, pause in ((60.0, 0.0), (0.5, 0.3), (0.5, 0.3), (0.5, 0.3)):
            ends.wire.write(b"NOOP\r\n", 1)
            loop.call_later(pause, ends.writer.write, b"250 Ok\r\n")
            assert (await ends.wire.reply(seconds)).code == 250
        ends.wire.write(b"NOOP\r\n", 1)
        began = loop.time()
        with pytest.raises(LineBroken, match="no answer in time"):
            await ends.wire.reply(0.5)
        assert loop.time() - began >= 0.49
        assert not ends.wire.usable

    await on(run, scenario)


@RUNS
async def test_a_reply_that_trickles_does_not_hold_us_longer(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"NOOP\r\n", 1)
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_later(number * 0.05, ends.writer.write, b"2")
        async with asyncio.timeout(3):
            with pytest.raises(LineBroken):
                await ends.wire.reply(0.5)

    await on(run, scenario)


@RUNS
@TLS
async def test_who_does_not_read_is_not_written_to_without_end(run: Run, is_secure: bool) -> None:
    async def scenario(ends: Line) -> None:
        ends.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert await ends.pour() < 1 << 26
        with pytest.raises(LineBroken, match="no answer in time"):
            await ends.wire.drained(0.3)

    await on(run, scenario, is_secure=is_secure)


@RUNS
@TLS
async def test_who_reads_slowly_gets_everything(run: Run, is_secure: bool) -> None:
    async def scenario(ends: Line) -> None:
        async def read() -> int:
            size = 0
            while block := await ends.reader.read(1 << 20):
                size += len(block)
                await asyncio.sleep(0.001)
            return size

        reading = asyncio.ensure_future(read())
        for _ in range(256):
            ends.wire.write(b"x" * 65536, 0)
            await ends.wire.drained(5)
        ends.wire.close()
        assert await reading == 256 * 65536

    await on(run, scenario, is_secure=is_secure)


@RUNS
async def test_garbage_breaks_the_connection(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"MAIL\r\nRCPT\r\n", 2)
        await ends.say(b"250 Ok\r\nHTTP/1.1 400 Bad Request\r\n")
        assert (await ends.wire.reply(5)).code == 250
        with pytest.raises(LineBroken, match="no reply"):
            await ends.wire.reply(5)

    await on(run, scenario)


@RUNS
async def test_a_wait_that_is_cancelled_leaves_the_connection_to_be_aborted(run: Run) -> None:
    async def scenario(ends: Line) -> None:
        ends.wire.write(b"NOOP\r\n", 1)
        waiting = asyncio.ensure_future(ends.wire.reply(60))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        ends.wire.abort()
        with pytest.raises(LineBroken, match="closed by us"):
            await ends.wire.reply(60)
        with contextlib.suppress(ConnectionError):
            await ends.reader.read()

    await on(run, scenario)
