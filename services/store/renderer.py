"""The owner of the process in which letters are looked into: asks it, and makes it again whenever it fails."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import orjson

from services.store import rendering
from services.store.mime.rendering import Rendering, bare
from services.store.mime.text import casemapped
from services.store.rendering import NUMBER, Kind
from services.store.summary import Summary, empty
from shared import logs

log = logs.get("renderer")

# Long, because what is given up stays so: a busy machine is no reason. What burns processor time is ended long before.
BATCH_SECONDS = 20.0
ALONE_SECONDS = 10.0
# A fifth of what the process may hold: it has them as they came, and what it makes of them.
LARGEST_LETTER_BYTES = 100 * 1024 * 1024
PROGRAM = rendering.__name__
_LONGEST_ANSWER_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class Renderer:
    """The process of rendering.py. One question at a time; the others wait in line."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._alone = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def summaries(self, heads: Sequence[bytes]) -> list[Summary]:
        """One for each head. What costs the process its life or takes too long has an empty one."""
        return await self._each(Kind.SUMMARIES, b"", heads, orjson.loads, lambda _: empty())

    async def renderings(self, letters: Sequence[bytes]) -> list[Rendering]:
        """One for each letter; a bare one of what costs the process its life, takes too long or is too large."""
        return await self._each(Kind.RENDERINGS, b"", letters, rendering.renderings, bare)

    async def containing(self, letters: Sequence[bytes], needle: str, in_headers: bool) -> list[bool]:
        """Whether each holds `needle`, in any case; of what cannot be looked into, not."""
        sought = (b"h" if in_headers else b"b") + casemapped(needle).encode("utf-8", "replace")
        return await self._each(
            Kind.CONTAINING, sought, letters, lambda answer: list(map(bool, answer)), lambda _: False
        )

    async def _each(
        self,
        kind: Kind,
        argument: bytes,
        letters: Sequence[bytes],
        read: Callable[[bytes], list[T]],
        without: Callable[[bytes], T],
    ) -> list[T]:
        """An answer for each: together, and where that fails each alone, once; `without` answers for the rest."""
        small = [letter for letter in letters if len(letter) <= LARGEST_LETTER_BYTES]
        if not small:
            return [without(letter) for letter in letters]
        async with self._alone:
            found = await self._asked(kind, argument, small, read, BATCH_SECONDS)
            if found is None:
                log.warning("rendering_failed", what=kind.name.lower(), letters=len(small))
                found = []
                for letter in small:
                    alone = await self._asked(kind, argument, [letter], read, ALONE_SECONDS)
                    found.append(alone[0] if alone is not None else without(letter))
        answers = iter(found)
        return [next(answers) if len(letter) <= LARGEST_LETTER_BYTES else without(letter) for letter in letters]

    async def _asked(
        self,
        kind: Kind,
        argument: bytes,
        letters: Sequence[bytes],
        read: Callable[[bytes], list[T]],
        within_seconds: float,
    ) -> list[T] | None:
        try:
            async with asyncio.timeout(within_seconds):
                found = read(await self._answer(kind, argument, letters))
            if len(found) != len(letters):
                raise ValueError(f"{len(found)} answers for {len(letters)} letters")
            return found
        except (TimeoutError, OSError, EOFError, ValueError, RuntimeError):
            # RuntimeError is what uvloop says of a pipe whose reader is gone.
            await self.close()
            return None
        except asyncio.CancelledError:
            # An answer that nobody waits for would be taken for the next one.
            await self.close()
            raise

    async def _answer(self, kind: Kind, argument: bytes, letters: Sequence[bytes]) -> bytes:
        process = self._process or await self._start()
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        for piece in rendering.request(kind, argument, letters):
            process.stdin.write(piece)
            await process.stdin.drain()
        (length,) = NUMBER.unpack(await process.stdout.readexactly(NUMBER.size))
        if length > _LONGEST_ANSWER_BYTES:
            raise ValueError(f"an answer of {length} bytes")
        return await process.stdout.readexactly(length)

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self._process
