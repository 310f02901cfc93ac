"""What headers say, put into a sheet: from memory where it was read before, else from the letters' renderings."""

from collections.abc import Awaitable, Callable, Sequence
from sys import getsizeof

from services.store.imap.search.fields import texts_of
from services.store.imap.search.plan import Plan
from services.store.imap.search.sheet import Sheet
from services.store.imap.search.weigh import Turns
from services.store.mime.rendering import Rendering

# Bytes that the texts in memory may have, in this process, and one of them.
MOST_BYTES = 32 * 1024 * 1024
_LONGEST_KEPT = 4096
_ENTRY_BYTES = 200

# In place of a field's name: the day of the Date field.
_DAY = None
Name = bytes | None


class Texts:
    """Texts of letters' fields, kept as long as there is room. A letter never changes, so they hold for ever."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._kept: dict[tuple[Name, str], str | None] = {}
        self._bytes = 0
        self._most_bytes = most_bytes

    def get(self, name: Name, receipt_ids: Sequence[str]) -> dict[str, str | None]:
        """The texts of those letters that are known; None where a letter has no such field."""
        kept = self._kept
        return {receipt_id: kept[key] for receipt_id in receipt_ids if (key := (name, receipt_id)) in kept}

    def keep(self, name: Name, receipt_id: str, text: str | None) -> None:
        """What was kept first goes first."""
        if getsizeof(text) > _LONGEST_KEPT or (name, receipt_id) in self._kept:
            return
        self._kept[name, receipt_id] = text
        self._bytes += getsizeof(text) + _ENTRY_BYTES
        while self._bytes > self._most_bytes:
            oldest = next(iter(self._kept))
            self._bytes -= getsizeof(self._kept.pop(oldest)) + _ENTRY_BYTES


_TEXTS = Texts()

Filling = Callable[[Sequence[str]], Awaitable[dict[str, Rendering]]]


async def fill_in(part: Sheet, plan: Plan, filling: Filling, turns: Turns) -> None:
    """Give a part of a folder what its letters' headers say, as far as `plan` asks for it."""
    names: tuple[Name, ...] = (*plan.names, _DAY) if plan.needs_day else plan.names
    ids = [row.receipt_id for row in part.rows]
    columns = {name: _TEXTS.get(name, ids) for name in names}
    missing = [one for one in dict.fromkeys(ids) if any(one not in column for column in columns.values())]
    if missing:
        for receipt_id, rendering in (await filling(missing)).items():
            _read(receipt_id, rendering, plan, columns)
            await turns.take()
    for name in plan.names:
        part.fields[name] = [columns[name].get(one) for one in ids]
    if plan.needs_day:
        part.days = [columns[_DAY].get(one) or "" for one in ids]


def _read(receipt_id: str, rendering: Rendering, plan: Plan, columns: dict[Name, dict[str, str | None]]) -> None:
    texts = texts_of(rendering.header, plan.names)
    for name, column in columns.items():
        text = rendering.sent_on if name is _DAY else texts.get(name)
        column[receipt_id] = text
        _TEXTS.keep(name, receipt_id, text)
