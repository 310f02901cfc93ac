"""Some letters of a folder, in columns, and which of them a term is true of. Pure."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property

from services.store.folders.view import Grip, Row
from services.store.imap.commands import (
    STAR,
    All,
    ChangedSince,
    Dated,
    HasFlag,
    HasId,
    InNumbers,
    Numbers,
    Sized,
    Younger,
)
from services.store.imap.ids import email_id
from services.store.imap.search.bits import everything, set_of
from services.store.imap.search.column import Column
from services.store.imap.search.plan import HeaderTest, InField, RowTest

# Letters of a sheet: to look at them all takes a few milliseconds.
_PAGE = 20_000
# Sets that are kept for a term that stands there again; a set is a bit for each letter.
_MOST_KEPT = 256


class Sheet:
    """Letters by rising number, which is by rising UID.

    `last_number` and `last_uid` are what `*` means in this folder; `saved` are the UIDs of `$`; `now` has a time zone.
    `fields` and `days` hold what the headers say, once somebody has filled them in, letter by letter: the texts of the
    fields by name, None where a letter has none of it; the day of the Date field as YYYY-MM-DD, "" where it has none.
    """

    def __init__(
        self, uids: "array[int]", numbers: "array[int]", rows: Sequence[Row], last: tuple[int, int], now: datetime,
        saved: frozenset[int],
    ) -> None:  # fmt: skip
        self.uids = uids
        self.numbers = numbers
        self.rows = rows
        self.fields: dict[bytes, list[str | None]] = {}
        self.days: list[str] = []
        self._last_number, self._last_uid = last
        self._now = now
        self._saved = saved
        self._together: dict[bytes, str] = {}
        self._kept: dict[RowTest | HeaderTest, int] = {}

    @classmethod
    def pages(cls, grip: Grip, now: datetime, saved: Iterable[int]) -> Iterator["Sheet"]:
        """All letters that a session knows, as many at once as take no long time; also those that are gone, until it
        has been told."""
        known, kept = grip.uids, frozenset(saved)
        last = len(known), known[-1] if known else 0
        for start in range(0, len(known), _PAGE):
            found = [grip.row(uid) for uid in known[start : start + _PAGE]]
            rows = [row for row in found if row is not None]
            numbers = array("I", [number for number, row in enumerate(found, start + 1) if row is not None])
            yield cls(array("I", [row.uid for row in rows]), numbers, rows, last, now, kept)

    def part(self, places: Sequence[int]) -> "Sheet":
        """Some of the letters, by their places here, rising."""
        return Sheet(
            array("I", [self.uids[place] for place in places]),
            array("I", [self.numbers[place] for place in places]),
            [self.rows[place] for place in places],
            (self._last_number, self._last_uid),
            self._now,
            self._saved,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def everything(self) -> int:
        return everything(len(self.rows))

    def true_of(self, test: RowTest | HeaderTest) -> int:
        """The set of the letters that a term is true of."""
        known = self._kept.get(test)
        if known is None:
            known = self._found(test)
            if len(self._kept) < _MOST_KEPT:
                self._kept[test] = known
        return known

    def _found(self, test: RowTest | HeaderTest) -> int:
        match test:
            case All():
                return self.everything
            case InNumbers(numbers, is_uid):
                return self._in_numbers(numbers, is_uid=is_uid)
            case HasFlag(flag):
                return self._has_flag(flag.lower())
            case Sized(how, octets):
                return self._sizes.below(octets) if how == "smaller" else self._sizes.from_(octets + 1)
            case Dated(how, day):
                return _dated(self._arrivals, how, day)
            case Younger(seconds):
                return self._moments.from_((self._now - timedelta(seconds=seconds)).timestamp())
            case ChangedSince(modseq):
                return self._modseqs.from_(modseq)
            case HasId(what, value):
                return self._ids.get(value, 0) if what == "email" else 0
            case InField(name, needle):
                return self._in_field(name, needle)
        # What has no day is neither before nor after any.
        return _dated(self._sent, test.dated.how, test.dated.day) & self._sent.from_(1)

    # Columns

    @cached_property
    def _modseqs(self) -> Column:
        return Column([row.modseq for row in self.rows])

    @cached_property
    def _sizes(self) -> Column:
        return Column([row.size for row in self.rows])

    @cached_property
    def _moments(self) -> Column:
        return Column([row.at.timestamp() for row in self.rows])

    @cached_property
    def _arrivals(self) -> Column:
        """The day as INTERNALDATE says it, whatever its time and zone (RFC 9051 section 6.4.4)."""
        return Column([row.at.toordinal() for row in self.rows])

    @cached_property
    def _sent(self) -> Column:
        return Column([date.fromisoformat(day).toordinal() if day else 0 for day in self.days])

    @cached_property
    def _flags(self) -> list[frozenset[str]]:
        return [row.flags for row in self.rows]

    @cached_property
    def _lower_flags(self) -> dict[frozenset[str], frozenset[str]]:
        """The different sets of flags that there are, a dozen mostly, each with its flags in small letters."""
        return {flags: frozenset(map(str.lower, flags)) for flags in set(self._flags)}

    @cached_property
    def _ids(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for place, row in enumerate(self.rows):
            name = email_id(row)
            found[name] = found.get(name, 0) | 1 << place
        return found

    # Tests

    def _has_flag(self, flag: str) -> int:
        """Flags are alike in any case (RFC 9051 section 2.3.2). No letter has \\Recent here."""
        carrying = {flags: flag in lower for flags, lower in self._lower_flags.items()}
        return set_of(map(carrying.__getitem__, self._flags)) if any(carrying.values()) else 0

    def _in_field(self, name: bytes, needle: str) -> int:
        texts = self.fields[name]
        together = self._together.get(name)
        if together is None:
            together = self._together[name] = "\n".join([text for text in texts if text is not None])
        # Most needles are nowhere, and one long text is looked through sooner than many.
        if needle not in together:
            return 0
        return set_of([text is not None and needle in text for text in texts])

    def _in_numbers(self, numbers: Numbers, *, is_uid: bool) -> int:
        if numbers.is_saved:
            return set_of(map(self._saved.__contains__, self.uids))
        known, last = (self.uids, self._last_uid) if is_uid else (self.numbers, self._last_number)
        marks = bytearray(len(known))
        end = 0
        for low, high in sorted(_rising(pair, last) for pair in numbers.ranges):
            # Ranges may lie over each other by the thousand: each letter is marked once.
            start = max(end, bisect_left(known, low))
            end = max(start, bisect_right(known, high))
            marks[start:end] = b"\x01" * (end - start)
        return set_of(marks)


def _rising(pair: tuple[int, int], last: int) -> tuple[int, int]:
    """A range with `*` in it is one up to the last letter, from wherever (RFC 9051 section 9, seq-range)."""
    first, second = (last if number == STAR else number for number in pair)
    return (first, second) if first <= second else (second, first)


def _dated(days: Column, how: str, day: date) -> int:
    number = day.toordinal()
    if how == "before":
        return days.below(number)
    return days.from_(number) if how == "since" else days.from_(number) & days.below(number + 1)
