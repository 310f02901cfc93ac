"""The budget: what is taken comes back, once, and never exceeds the total."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.budget import STEP_BYTES, Budget, Share


def test_a_letter_is_admitted_by_what_it_declares() -> None:
    budget = Budget(10 * STEP_BYTES)
    first = budget.admit(6 * STEP_BYTES)
    assert first is not None
    assert budget.admit(5 * STEP_BYTES) is None
    assert budget.taken == 6 * STEP_BYTES
    first.release()
    assert budget.admit(10 * STEP_BYTES) is not None


def test_a_letter_that_declares_nothing_begins_with_a_step_and_grows() -> None:
    budget = Budget(3 * STEP_BYTES)
    share = budget.admit(0)
    assert share is not None
    assert budget.taken == STEP_BYTES
    assert share.cover(STEP_BYTES + 1)
    assert budget.taken == 2 * STEP_BYTES
    assert not share.cover(3 * STEP_BYTES + 1)
    assert budget.taken == 2 * STEP_BYTES


def test_what_was_declared_too_much_goes_back_at_the_end() -> None:
    budget = Budget(10 * STEP_BYTES)
    share = budget.admit(8 * STEP_BYTES)
    assert share is not None
    share.shrink(10)
    assert budget.taken == 10


def test_released_twice_is_released_once() -> None:
    budget = Budget(10 * STEP_BYTES)
    share, other = budget.admit(STEP_BYTES), budget.admit(STEP_BYTES)
    assert share is not None
    assert other is not None
    share.release()
    share.release()
    assert budget.taken == STEP_BYTES


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20 * STEP_BYTES)), max_size=60))
def test_never_more_than_there_is_and_all_of_it_comes_back(deeds: list[tuple[int, int]]) -> None:
    budget = Budget(20 * STEP_BYTES)
    shares: list[Share] = []
    for deed, size in deeds:
        if deed == 0:
            share = budget.admit(size)
            shares += [share] if share else []
        elif shares and deed < 3:
            shares[size % len(shares)].cover(size)
        elif shares:
            shares[size % len(shares)].release()
        assert 0 <= budget.taken <= budget.total
        assert budget.taken == sum(share.granted for share in shares)
    for share in shares:
        share.release()
    assert budget.taken == 0
