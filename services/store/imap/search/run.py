"""A search from its key to what it found."""

from array import array
from collections.abc import Iterable
from datetime import datetime

from services.store.folders.view import Grip
from services.store.imap.commands import Key
from services.store.imap.search.bits import places_of
from services.store.imap.search.found import Found
from services.store.imap.search.headers import fill_in
from services.store.imap.search.plan import Level, Plan, planned
from services.store.imap.search.sheet import Sheet
from services.store.imap.search.weigh import Turns, Weighing
from services.store.renderings import Renderings

# Letters whose headers are looked at together.
_BATCH = 500


async def find(key: Key, grip: Grip, renderings: Renderings, now: datetime, saved: Iterable[int]) -> Found:
    """The letters that a session knows and `key` is true of. `saved` are the UIDs of `$` (RFC 5182).

    Letters that are gone, but of which the session has not been told so, are found by what is known without reading
    them. Others have their turn meanwhile, and what they change may be seen or not.

    Raises:
        TooBroad: it would cost too much.
        MailboxUnavailable.
    """
    plan = planned(key)
    searching = _Searching(plan, renderings)
    found = Found(array("I"), array("I"), array("Q") if plan.has_modseq else None)
    for sheet in Sheet.pages(grip, now, saved):
        for place in await searching.places(sheet):
            found.uids.append(sheet.uids[place])
            found.numbers.append(sheet.numbers[place])
            if found.modseqs is not None:
                found.modseqs.append(sheet.rows[place].modseq)
    return found


class _Searching:
    def __init__(self, plan: Plan, renderings: Renderings) -> None:
        self._plan = plan
        self._renderings = renderings
        self._turns = Turns()

    async def places(self, sheet: Sheet) -> list[int]:
        """Where on a sheet the letters are that are found, rising."""
        sure, maybe = await self._weighed(sheet, Level.ROW, sheet.everything)
        found = places_of(sure)
        still_open = places_of(maybe & ~sure)
        for start in range(0, len(still_open), _BATCH):
            places = still_open[start : start + _BATCH]
            part = sheet.part(places)
            found += [places[inner] for inner in places_of(await self._looked_into(part))]
        return sorted(found)

    async def _looked_into(self, part: Sheet) -> int:
        """Which letters of a part are found."""
        sure, maybe = 0, part.everything
        if self._plan.needs_headers:
            await fill_in(part, self._plan, self._renderings.fill, self._turns)
            sure, maybe = await self._weighed(part, Level.HEADERS, maybe)
        if still_open := maybe & ~sure:
            sure |= (await self._weighed(part, Level.TEXT, still_open))[0]
        return sure

    async def _weighed(self, sheet: Sheet, level: Level, among: int) -> tuple[int, int]:
        weighing = Weighing(sheet, level, self._turns, self._renderings.containing)
        return await weighing.weigh(self._plan.step, among)
