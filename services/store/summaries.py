"""Letters' summaries, made when somebody first looks, by a process that can be killed, and then kept."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import orjson

from services.store import rendering
from services.store.summary import HEADER_BYTES, Summary, empty
from shared import logs
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database
from shared.mailbox.letters import Letter, Letters

log = logs.get("summaries")

BATCH_LETTERS = 50
# Long, because an empty summary stays: a busy machine is no reason. What burns processor time is ended long before.
BATCH_SECONDS = 20.0
ALONE_SECONDS = 10.0
_LONGEST_ANSWER = 8 * 1024 * 1024


class Renderer:
    """The process of rendering.py, made again whenever it fails."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._alone = asyncio.Lock()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def summaries(self, heads: Sequence[bytes]) -> list[Summary]:
        """One for each head. What costs the process its life or takes too long has an empty one."""
        async with self._alone:
            together = await self._asked(heads, BATCH_SECONDS)
            if together is not None:
                return together
            log.warning("rendering_failed", letters=len(heads))
            return [(await self._asked([head], ALONE_SECONDS) or [empty()])[0] for head in heads]

    async def _asked(self, heads: Sequence[bytes], within_seconds: float) -> list[Summary] | None:
        try:
            async with asyncio.timeout(within_seconds):
                answer: list[Summary] = orjson.loads(await self._answer(rendering.request(list(heads))))
                return answer
        except (TimeoutError, OSError, ValueError, RuntimeError):
            # RuntimeError is what uvloop says of a pipe whose reader is gone.
            await self.close()
            return None
        except asyncio.CancelledError:
            # An answer that nobody waits for would be taken for the next one.
            await self.close()
            raise

    async def _answer(self, request: bytes) -> bytes:
        process = self._process or await self._start()
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        process.stdin.write(request)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            rendering.__name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_ANSWER,
        )
        return self._process


class Summaries:
    """Gives letters their summaries."""

    def __init__(self, database: Database) -> None:
        self._letters = Letters(database)
        self._bodies = Bodies(database)
        self._renderer = Renderer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._renderer.close()

    async def fill(self, letters: Sequence[Letter]) -> None:
        """See that each of `letters` has its `summary`. Raises MailboxUnavailable."""
        missing = [letter for letter in letters if "summary" not in letter]
        for start in range(0, len(missing), BATCH_LETTERS):
            await self._fill(missing[start : start + BATCH_LETTERS])

    async def _fill(self, letters: Sequence[Letter]) -> None:
        heads = await self._bodies.heads([letter["receipt_id"] for letter in letters], HEADER_BYTES)
        made = await self._renderer.summaries([heads.get(letter["receipt_id"], b"") for letter in letters])
        for letter, summary in zip(letters, made, strict=True):
            letter["summary"] = summary
        await self._letters.keep_summaries(
            {letter["_id"]: dict(letter["summary"]) for letter in letters if letter["receipt_id"] in heads}
        )
