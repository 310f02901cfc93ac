"""Which letters of a sheet a plan finds, as far as it can be told from what is at hand.

The answer has two sets: letters that are found for sure, and those that may be found. What lies between is open, and
asks for the next level.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from services.store.imap.commands import HasText
from services.store.imap.search.bits import places_of
from services.store.imap.search.plan import Every, Level, Opposite, Some, Step, Term
from services.store.imap.search.sheet import Sheet

# Of the letters with these receipts, those that have this text: in the body, or in the headers, too.
Reading = Callable[[Sequence[str], str, bool], Awaitable[set[str]]]

_SLICE_SECONDS = 0.01


class Turns:
    """Gives others their turn whenever a slice of time is used up."""

    def __init__(self) -> None:
        self._until = perf_counter() + _SLICE_SECONDS

    async def take(self) -> None:
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + _SLICE_SECONDS


class Weighing:
    """One look at a sheet, with what is known up to a level."""

    def __init__(self, sheet: Sheet, level: Level, turns: Turns, reading: Reading) -> None:
        self._sheet = sheet
        self._level = level
        self._turns = turns
        self._reading = reading

    async def weigh(self, step: Step, among: int) -> tuple[int, int]:
        """Of the letters `among`: those that are found for sure, and those that may be."""
        match step:
            case Every(steps):
                return await self._every(steps, among)
            case Some(steps):
                return await self._some(steps, among)
            case Opposite(inner):
                sure, maybe = await self.weigh(inner, among)
                return among & ~maybe, among & ~sure
        await self._turns.take()
        return await self._term(step, among)

    async def _every(self, steps: Sequence[Step], among: int) -> tuple[int, int]:
        sure = maybe = among
        for step in steps:
            if not maybe:
                break
            also_sure, maybe = await self.weigh(step, maybe)
            sure &= also_sure
        return sure & maybe, maybe

    async def _some(self, steps: Sequence[Step], among: int) -> tuple[int, int]:
        sure = maybe = 0
        for step in steps:
            rest = among & ~sure
            if not rest:
                break
            more_sure, more = await self.weigh(step, rest)
            sure |= more_sure
            maybe |= more
        return sure, maybe

    async def _term(self, term: Term, among: int) -> tuple[int, int]:
        if term.level > self._level:
            return 0, among
        if isinstance(term.test, HasText):
            found = await self._with_text(term.test, among)
        else:
            found = self._sheet.true_of(term.test) & among
        return found, found

    async def _with_text(self, test: HasText, among: int) -> int:
        ids = {place: self._sheet.rows[place].receipt_id for place in places_of(among)}
        having = await self._reading(list(dict.fromkeys(ids.values())), test.text, test.in_headers)
        found = 0
        for place, receipt_id in ids.items():
            found |= (receipt_id in having) << place
        return found
