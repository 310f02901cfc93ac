"""Letters as a search sees them, and what each key says of one letter, asked straight."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

from services.store.folders.view import Row
from services.store.imap.commands import (
    STAR,
    All,
    AllOf,
    ChangedSince,
    Dated,
    Either,
    HasFlag,
    HasHeader,
    HasId,
    HasText,
    InNumbers,
    Key,
    Not,
    Numbers,
    Sized,
    Younger,
)
from services.store.imap.search.sheet import Sheet

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=9))


@dataclass(frozen=True, slots=True)
class Sample:
    """A letter: `fields` by name in small letters, its Date field's day, its text."""

    row: Row
    fields: dict[str, str] = field(default_factory=dict)
    day: date | None = None
    text: str = ""


def a_row(uid: int, *, name: str = "", size: int = 100, at: datetime = NOW, flags: str = "", modseq: int = 1) -> Row:
    return Row(uid, f"{name or f'R{uid}'}-a", size, at, frozenset(flags.split()), modseq)


def a_sheet(rows: Sequence[Row], *, saved: Sequence[int] = ()) -> Sheet:
    """Of a folder that has just these letters."""
    last = len(rows), rows[-1].uid if rows else 0
    uids = array("I", [row.uid for row in rows])
    return Sheet(uids, array("I", range(1, len(rows) + 1)), rows, last, NOW, frozenset(saved))


def filled(samples: Sequence[Sample], names: Sequence[bytes], *, saved: Sequence[int] = ()) -> Sheet:
    """With what the headers say."""
    sheet = a_sheet([sample.row for sample in samples], saved=saved)
    sheet.fields = {name: [sample.fields.get(name.decode()) for sample in samples] for name in names}
    sheet.days = [sample.day.isoformat() if sample.day else "" for sample in samples]
    return sheet


@dataclass(frozen=True, slots=True)
class Folder:
    """Letters, and what `$` means among them."""

    samples: Sequence[Sample]
    saved: Sequence[int] = ()

    def found(self, key: Key) -> list[int]:
        """The numbers of the letters that `key` is true of."""
        return [number for number, sample in enumerate(self.samples, 1) if self.holds(key, number, sample)]

    def holds(self, key: Key, number: int, sample: Sample) -> bool:
        match key:
            case AllOf(keys):
                return all(self.holds(one, number, sample) for one in keys)
            case Either(left, right):
                return self.holds(left, number, sample) or self.holds(right, number, sample)
            case Not(inner):
                return not self.holds(inner, number, sample)
            case InNumbers(numbers, is_uid):
                return self._is_in(numbers, number, sample.row.uid, is_uid=is_uid)
            case HasHeader() | HasText() | Dated(is_sent=True):
                return _says(key, sample)
        return _is(key, sample.row)

    def _is_in(self, numbers: Numbers, number: int, uid: int, *, is_uid: bool) -> bool:
        if numbers.is_saved:
            return uid in self.saved
        own, last = (uid, self.samples[-1].row.uid) if is_uid else (number, len(self.samples))
        pairs = [sorted(last if end == STAR else end for end in pair) for pair in numbers.ranges]
        return any(low <= own <= high for low, high in pairs)


def _says(key: Key, sample: Sample) -> bool:
    match key:
        case HasHeader(name, text):
            value = sample.fields.get(name.lower())
            return value is not None and text.lower() in value
        case HasText(text, in_headers):
            return text in sample.text or (in_headers and any(text in value for value in sample.fields.values()))
        case Dated(how, day):
            return sample.day is not None and _compares(how, sample.day, day)
    raise AssertionError(key)


def _is(key: Key, row: Row) -> bool:
    match key:
        case All():
            return True
        case HasFlag(flag):
            return flag.lower() in {one.lower() for one in row.flags}
        case Dated(how, day):
            return _compares(how, row.at.date(), day)
        case Younger(seconds):
            return row.at >= NOW - timedelta(seconds=seconds)
        case Sized(how, octets):
            return row.size > octets if how == "larger" else row.size < octets
        case ChangedSince(modseq):
            return row.modseq >= modseq
        case HasId(what, value):
            return what == "email" and row.receipt_id == value
    raise AssertionError(key)


def _compares(how: str, own: date, day: date) -> bool:
    return {"before": own < day, "on": own == day, "since": own >= day}[how]
