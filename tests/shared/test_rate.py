"""The rate that decides whether to wait for a larger batch."""

from shared.rate import Rate


def test_a_lone_thing_after_a_pause_is_no_rate() -> None:
    rate = Rate()
    assert rate.count(1, now=1000.0) < 1


def test_many_small_batches_add_up() -> None:
    rate = Rate()
    for number in range(200):
        rate.count(5, now=1000.0 + number * 0.01)
    assert 400 < rate.per_second < 600


def test_a_rate_is_forgotten_after_a_pause() -> None:
    rate = Rate()
    for number in range(100):
        rate.count(100, now=1000.0 + number * 0.01)
    assert rate.count(1, now=1100.0) < 2
