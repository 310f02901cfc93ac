"""The real ingest on a loop of its own, as in production uvloop's, and who plays a script on it."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass

import uvloop

from services.ingest.__main__ import receiving
from services.ingest.recipients import Recipients
from shared.bus.consumer import Record
from shared.bus.producer import Producer
from shared.bus.tail import Tail
from shared.settings import Common, Ingest
from tests.dialogues.script import Script, Step, unescaped
from tests.dialogues.talk import Talk
from tests.kit.patience import until


class Service:
    """Ingest in a thread."""

    def __init__(self, settings: Ingest, *, waits_for_servers: bool) -> None:
        self._settings = settings
        self._waits_for_servers = waits_for_servers
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=self._run)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    async def start(self) -> int:
        """Returns the port."""
        self._thread.start()
        return await asyncio.wait_for(asyncio.wrap_future(self._port), 30)

    def tell_to_stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        with contextlib.suppress(RuntimeError):  # it has already ended
            self._loop.call_soon_threadsafe(self._stop.set)

    async def ended(self) -> None:
        await asyncio.to_thread(self._thread.join, 40)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:
            if self._port.done():
                raise
            self._port.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with receiving(self._settings) as (listener, producer, recipients):
            if self._waits_for_servers:
                await until(lambda: _is_up(producer, recipients), pause=0.01, what="ingest's readiness")
            self._port.set_result(listener.port)
            await self._stop.wait()


@dataclass
class Player:
    """Plays a script; an assertion names the line that went wrong."""

    service: Service
    settings: Common
    talk: Talk
    expected_letter: bytes = b""

    async def play(self, script: Script) -> None:
        try:
            await self.talk.follow(script, self._do)
            if self.expected_letter:
                await self._check_letter()
        finally:
            self.talk.close()

    async def _do(self, step: Step) -> None:
        if self.expected_letter and step.deed != "K>":
            await self._check_letter()
        match step.deed:
            case "stop":
                self.service.tell_to_stop()
            case "K>":
                self.expected_letter += unescaped(step.text)
            case "H~" | "F:" | "N:":
                await self._look(step)
            case _:
                await self.talk.take(step)

    async def _look(self, step: Step) -> None:
        records = await kept(self.settings)
        if step.deed == "N:":
            assert len(records) == int(step.text), f"{len(records)} letters were kept"
            return
        last = records[-1]
        if step.deed == "H~":
            header, _ = apart(last.value or b"")
            assert re.search(step.text, header.decode()), f"the header is {header!r}"
            return
        name, _, value = step.text.partition(" = ")
        found = json.loads(last.headers["facts"])
        for part in name.split("."):
            found = found[part]
        assert found == json.loads(value), f"it is {found!r}"

    async def _check_letter(self) -> None:
        _, letter = apart((await kept(self.settings))[-1].value or b"")
        expected, self.expected_letter = self.expected_letter, b""
        assert letter == expected, f"kept {letter[:1000]!r}, expected {expected[:1000]!r}"


async def _is_up(producer: Producer, recipients: Recipients) -> bool:
    return producer.connected and recipients.is_usable


def apart(value: bytes) -> tuple[bytes, bytes]:
    """The Received header that we added, and the letter behind it."""
    match = re.match(rb"Received: [^\r\n]*\r\n(?:\t[^\r\n]*\r\n)+", value)
    assert match, f"no Received header: {value[:200]!r}"
    return match[0], value[match.end() :]


async def kept(settings: Common) -> list[Record]:
    """All records of `received`, in the order of their receipts."""
    records: list[Record] = []
    async with Tail(settings, ["received"]) as tail:
        await tail.from_beginning()
        ends = (await tail.ends())["received"]
        wanted = sum(ends.values())
        if wanted:
            async for batch in tail.batches(wait_seconds=0.2):
                records += batch
                if len(records) >= wanted:
                    break
    return sorted(records, key=lambda record: record.key)


@contextlib.asynccontextmanager
async def served(settings: Ingest, *, waits_for_servers: bool = True) -> AsyncIterator[tuple[Service, int]]:
    """The service while the block runs, and its port."""
    service = Service(settings, waits_for_servers=waits_for_servers)
    port = await service.start()
    try:
        yield service, port
    finally:
        service.tell_to_stop()
        await service.ended()
