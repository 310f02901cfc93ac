"""Letters' summaries, made when somebody first looks, by a process that can be killed, and then kept."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from services.store.renderer import Renderer
from services.store.summary import HEADER_BYTES
from shared.mailbox.bodies import Bodies
from shared.mailbox.connect import Database
from shared.mailbox.letters import Letter, Letters

BATCH_LETTERS = 50


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
