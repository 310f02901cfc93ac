"""What each key that asks for no header says of letters."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from services.store.imap.search.bits import places_of, set_of
from services.store.imap.search.column import Column
from services.store.imap.search.plan import RowTest
from tests.store.imap.search.samples import EAST, NOW, a_row, a_sheet

# Numbers 1 to 4.
ROWS = [
    a_row(3, size=10, at=datetime(2026, 2, 27, 23, 0, tzinfo=UTC), flags="\\Seen $Label", modseq=5),
    # It is the 27th in UTC.
    a_row(5, size=20, at=datetime(2026, 2, 28, 1, 0, tzinfo=EAST), flags="", modseq=7, name="SAME"),
    a_row(9, size=20, at=NOW - timedelta(seconds=60), flags="\\Seen", modseq=9, name="SAME"),
    a_row(12, size=30, at=NOW, flags="\\Deleted", modseq=9),
]


def uids(*ranges: tuple[int, int]) -> InNumbers:
    return InNumbers(Numbers(ranges), is_uid=True)


def numbers(*ranges: tuple[int, int]) -> InNumbers:
    return InNumbers(Numbers(ranges), is_uid=False)


FOUND: list[tuple[RowTest, list[int]]] = [
    (All(), [1, 2, 3, 4]),
    (HasFlag("\\Seen"), [1, 3]),
    (HasFlag("\\SEEN"), [1, 3]),
    (HasFlag("$label"), [1]),
    (HasFlag("nothere"), []),
    (HasFlag("\\Recent"), []),
    (Sized("larger", 20), [4]),
    (Sized("smaller", 20), [1]),
    (Sized("larger", 2**63), []),
    (Dated("before", date(2026, 2, 28), is_sent=False), [1]),
    (Dated("on", date(2026, 2, 28), is_sent=False), [2]),
    (Dated("since", date(2026, 2, 28), is_sent=False), [2, 3, 4]),
    (Dated("on", date(9999, 12, 31), is_sent=False), []),
    (Dated("since", date(1, 1, 1), is_sent=False), [1, 2, 3, 4]),
    (Younger(59), [4]),
    (Younger(60), [3, 4]),
    (Younger(2**32 - 1), [1, 2, 3, 4]),
    (ChangedSince(8), [3, 4]),
    (ChangedSince(9), [3, 4]),
    (ChangedSince(10), []),
    (ChangedSince(0), [1, 2, 3, 4]),
    (HasId("email", "SAME"), [2, 3]),
    (HasId("email", "same"), []),
    (HasId("email", ""), []),
    (HasId("thread", "SAME"), []),
    (numbers((2, 3)), [2, 3]),
    (numbers((3, 2)), [2, 3]),
    (numbers((STAR, STAR)), [4]),
    (numbers((3, STAR)), [3, 4]),
    (numbers((99, STAR)), [4]),
    (numbers((99, 99)), []),
    (numbers((3, 99)), [3, 4]),
    (numbers((1, 1), (3, 3), (1, 2)), [1, 2, 3]),
    (uids((4, 9)), [2, 3]),
    (uids((13, STAR)), [4]),
    (uids((1, 2**32 - 1)), [1, 2, 3, 4]),
    (uids((1, 2), (4, 4), (6, 8), (13, 2**32 - 1)), []),
    (uids((9, 9), (5, 5), (5, 9)), [2, 3]),
    (InNumbers(Numbers(is_saved=True), is_uid=True), [2, 4]),
    (InNumbers(Numbers(is_saved=True), is_uid=False), [2, 4]),
]


@pytest.mark.parametrize(("test", "expected"), FOUND)
def test_a_term_is_true_of_letters(test: RowTest, expected: list[int]) -> None:
    # UID 8 was saved, and has gone.
    sheet = a_sheet(ROWS, saved=[5, 8, 12])
    assert [place + 1 for place in places_of(sheet.true_of(test))] == expected


@pytest.mark.parametrize(("test", "expected"), FOUND)
def test_a_part_of_a_folder_keeps_its_numbers(test: RowTest, expected: list[int]) -> None:
    places = [1, 3]
    part = a_sheet(ROWS, saved=[5, 8, 12]).part(places)
    assert [places[place] + 1 for place in places_of(part.true_of(test))] == [one for one in expected if one in (2, 4)]


@pytest.mark.parametrize("test", [test for test, _ in FOUND])
def test_nothing_is_found_where_nothing_is(test: RowTest) -> None:
    assert a_sheet([]).true_of(test) == 0


@given(st.lists(st.booleans(), max_size=100))
def test_sets_are_what_they_were_made_of(marks: list[bool]) -> None:
    assert places_of(set_of(marks)) == [place for place, mark in enumerate(marks) if mark]


@given(st.lists(st.integers(0, 50), max_size=400), st.lists(st.integers(-1, 51), min_size=10, max_size=30))
def test_a_column_answers_the_same_however_often_it_is_asked(values: list[int], limits: list[int]) -> None:
    column = Column(values)
    for limit in limits:
        assert places_of(column.below(limit)) == [place for place, value in enumerate(values) if value < limit]
