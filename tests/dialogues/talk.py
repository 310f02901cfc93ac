"""The client of a dialogue: says what the script has it say, and compares what is answered."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.dialogues.script import Script, Step, unescaped

PATIENCE_SECONDS = 15.0
LOOPBACK = "127.0.0.1"


@dataclass
class Line:
    """One connection of the client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def next_line(self) -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return (await self.reader.readline()).decode()


@dataclass
class Talk:
    """Connections to one port, by the capitals that name them."""

    port: int
    lines: dict[str, Line] = field(default_factory=dict)
    present: str = "A"

    async def follow(self, script: Script, do: Callable[[Step], Awaitable[None]]) -> None:
        """Every step in turn; an assertion names the line that went wrong."""
        for step in script.steps:
            try:
                await do(step)
            except (AssertionError, OSError, TimeoutError) as error:
                raise AssertionError(f"line {step.number}: {step.deed} {step.text}: {error!r}") from error

    def close(self) -> None:
        for line in self.lines.values():
            line.writer.close()

    async def take(self, step: Step) -> None:
        """One step that is about the wire."""
        match step.deed:
            case "C:":
                await self._send(unescaped(step.text) + b"\r\n")
            case "C>":
                await self._send(unescaped(step.text))
            case "C*":
                times, _, text = step.text.partition(" ")
                await self._send(unescaped(text) * int(times))
            case "S:" | "S~" | "S.":
                await self._hear(step)
            case "tls":
                await self._secure()
            case "end":
                (await self._line()).writer.write_eof()
            case "hang up":
                (await self._line()).writer.transport.abort()
            case "pause":
                await asyncio.sleep(float(step.text))
            case name:
                self.present = name
                await self._line()

    async def _line(self) -> Line:
        if self.present not in self.lines:
            self.lines[self.present] = Line(*await asyncio.open_connection(LOOPBACK, self.port))
        return self.lines[self.present]

    async def _send(self, data: bytes) -> None:
        line = await self._line()
        line.writer.write(data)
        await line.writer.drain()

    async def _hear(self, step: Step) -> None:
        line = await self._line()
        try:
            said = await line.next_line()
        except ConnectionResetError:
            said = ""
        if step.deed == "S.":
            assert said == "", f"the server said {said!r}"
        elif step.deed == "S:":
            assert said.startswith(step.text), f"the server said {said!r}"
        else:
            assert re.fullmatch(step.text, said.rstrip("\r\n")), f"the server said {said!r}"
        assert not said or said.endswith("\r\n"), f"the server said {said!r}"

    async def _secure(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await (await self._line()).writer.start_tls(context)
