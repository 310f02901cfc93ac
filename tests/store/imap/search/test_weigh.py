"""A plan, weighed level by level, finds what each key says of each letter."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.folders.view import Row
from services.store.imap.commands import (
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
from services.store.imap.search.bits import places_of
from services.store.imap.search.plan import Level, planned
from services.store.imap.search.weigh import Turns, Weighing
from tests.store.imap.search.samples import EAST, NOW, Folder, Sample, a_row, filled

DAYS = st.dates(date(2026, 2, 26), date(2026, 3, 2))
WORDS = st.sampled_from(["", "a", "b", "ab", "ba"])
NAMES = st.sampled_from(["subject", "to"])
FLAGS = st.sampled_from(["\\Seen", "\\Deleted", "$Label"])
NUMBERS = st.one_of(
    st.builds(Numbers, st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=4).map(tuple)),
    st.just(Numbers(is_saved=True)),
)
HOW_DATED: st.SearchStrategy[Literal["before", "on", "since"]] = st.sampled_from(["before", "on", "since"])

LEAVES: st.SearchStrategy[Key] = st.one_of(
    st.just(All()),
    st.builds(HasFlag, FLAGS),
    st.builds(HasHeader, NAMES, WORDS),
    st.builds(HasText, WORDS, st.booleans()),
    st.builds(Dated, HOW_DATED, DAYS, st.booleans()),
    st.builds(Younger, st.integers(1, 300_000)),
    st.builds(Sized, st.sampled_from(["larger", "smaller"]), st.integers(0, 12)),
    st.builds(InNumbers, NUMBERS, st.booleans()),
    st.builds(ChangedSince, st.integers(0, 12)),
    st.builds(HasId, st.sampled_from(["email", "thread"]), st.sampled_from(["R1", "R2"])),
)


def _joined(inner: st.SearchStrategy[Key]) -> st.SearchStrategy[Key]:
    return st.one_of(
        st.builds(Not, inner),
        st.builds(Either, inner, inner),
        st.lists(inner, min_size=1, max_size=4).map(lambda keys: AllOf(tuple(keys))),
    )


KEYS = st.recursive(LEAVES, _joined, max_leaves=20)


def _a_row(uid: int) -> st.SearchStrategy[Row]:
    moments = st.integers(0, 300_000).map(lambda seconds: NOW - timedelta(seconds=seconds))
    return st.builds(
        a_row,
        st.just(uid),
        name=st.sampled_from(["R1", "R2", "R3"]),
        size=st.integers(0, 12),
        at=st.builds(datetime.astimezone, moments, st.sampled_from([UTC, EAST])),
        flags=st.sets(FLAGS).map(" ".join),
        modseq=st.integers(1, 12),
    )


ROWS = st.sets(st.integers(1, 12), min_size=1).flatmap(lambda uids: st.tuples(*map(_a_row, sorted(uids))))
# What R1, R2 and R3 say: copies of a letter say the same.
CONTENTS = st.tuples(*[st.tuples(st.dictionaries(NAMES, WORDS), st.none() | DAYS, WORDS)] * 3)
LETTERS = st.builds(
    lambda rows, contents: [Sample(row, *contents[int(row.receipt_id[1:]) - 1]) for row in rows], ROWS, CONTENTS
)


class Reader:
    """Reads letters, and writes down which."""

    def __init__(self, letters: Sequence[Sample]) -> None:
        self._letters = letters
        self.asked: list[str] = []

    async def read(self, receipt_ids: Sequence[str], text: str, in_headers: bool) -> set[str]:
        assert len(set(receipt_ids)) == len(receipt_ids), "a letter is read once, however often it is filed"
        self.asked += receipt_ids
        key = HasText(text, in_headers)
        having = {one.row.receipt_id for one in self._letters if Folder(self._letters).holds(key, 1, one)}
        return having.intersection(receipt_ids)


async def bounds(key: Key, letters: Sequence[Sample], saved: Sequence[int], level: Level) -> tuple[set[int], set[int]]:
    """The numbers of the letters that are found for sure, and of those that may be."""
    plan = planned(key)
    sheet = filled(letters, plan.names, saved=saved)
    weighing = Weighing(sheet, level, Turns(), Reader(letters).read)
    sure, maybe = await weighing.weigh(plan.step, sheet.everything)
    return ({place + 1 for place in places_of(sure)}, {place + 1 for place in places_of(maybe)})


@given(KEYS, LETTERS, st.sets(st.integers(1, 12)))
async def test_a_plan_finds_what_each_key_says_of_each_letter(key: Key, letters: list[Sample], saved: set[int]) -> None:
    expected = set(Folder(letters, sorted(saved)).found(key))
    for level in (Level.ROW, Level.HEADERS):
        sure, maybe = await bounds(key, letters, sorted(saved), level)
        assert sure <= expected <= maybe
    assert await bounds(key, letters, sorted(saved), Level.TEXT) == (expected, expected)


SEEN, UNSEEN = HasFlag("\\Seen"), Not(HasFlag("\\Seen"))
BODY, OTHER_BODY = HasText("x", in_headers=False), HasText("y", in_headers=False)
# With R1 seen and R2 not, and no text in either: which letters are read.
READ = [
    (AllOf((BODY, SEEN)), ["R1"]),
    (Either(BODY, SEEN), ["R2"]),
    (Not(AllOf((BODY, SEEN))), ["R1"]),
    (AllOf((BODY, OTHER_BODY, SEEN)), ["R1"]),
    (Either(AllOf((BODY, SEEN)), UNSEEN), ["R1"]),
    (AllOf((Either(BODY, SEEN), Either(OTHER_BODY, UNSEEN))), ["R2", "R1"]),
    (AllOf((SEEN, UNSEEN, BODY)), []),
]


@pytest.mark.parametrize(("key", "read"), READ)
async def test_a_letter_is_read_only_if_nothing_cheaper_decides(key: Key, read: list[str]) -> None:
    letters = [Sample(a_row(1, flags="\\Seen")), Sample(a_row(2))]
    reader = Reader(letters)
    sheet = filled(letters, ())
    await Weighing(sheet, Level.TEXT, Turns(), reader.read).weigh(planned(key).step, sheet.everything)
    assert reader.asked == read


async def test_others_have_their_turn_during_a_long_search() -> None:
    letters = [Sample(a_row(uid, size=uid)) for uid in range(1, 2001)]
    sheet = filled(letters, ())
    step = planned(AllOf(tuple(InNumbers(Numbers(((1, 10_000 + last),)), is_uid=True) for last in range(10_000)))).step
    weighing = asyncio.create_task(
        Weighing(sheet, Level.ROW, Turns(), Reader(letters).read).weigh(step, sheet.everything)
    )
    turns = 0
    while not weighing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    assert await weighing == (sheet.everything, sheet.everything)
