"""How many letters one write of a job touches."""

from hypothesis import given
from hypothesis import strategies as st

from shared.mailbox.numbering import SET_AT_ONCE, _parts

GAPS_AND_LENGTHS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3 * SET_AT_ONCE)), max_size=6)


@given(GAPS_AND_LENGTHS)
def test_ranges_are_parted_without_losing_or_adding_a_number(steps: list[tuple[int, int]]) -> None:
    ranges, at = [], 0
    for gap, length in steps:
        ranges.append([at + gap, at + gap + length - 1])
        at += gap + length - 1
    parts = _parts(ranges)
    numbers = [number for part in parts for first, last in part for number in range(first, last + 1)]
    assert numbers == [number for first, last in ranges for number in range(first, last + 1)]
    assert all(sum(last - first + 1 for first, last in part) <= SET_AT_ONCE for part in parts)
