"""The table of a destination's health: these moves and no other."""

from datetime import UTC, datetime

import pytest

from shared.destination import MOVES, Destination, Health, Signal, Tally, moved

H, S = Health, Signal
NOW = datetime(2026, 3, 1, tzinfo=UTC)
# Written down a second time on purpose: whoever changes the table must mean it.
ALLOWED = {
    (S.TROUBLE, H.UP, H.FAILING),
    (S.TROUBLE, H.RECOVERING, H.DOWN),
    (S.DEAD, H.UP, H.DOWN),
    (S.DEAD, H.FAILING, H.DOWN),
    (S.DEAD, H.RECOVERING, H.DOWN),
    (S.ANSWERED, H.DOWN, H.RECOVERING),
    (S.TAKEN, H.FAILING, H.RECOVERING),
    (S.TAKEN, H.DOWN, H.RECOVERING),
    (S.TAKEN, H.SUSPENDED, H.RECOVERING),
    (S.FLOWING, H.RECOVERING, H.UP),
    (S.FLOWING, H.FAILING, H.UP),
    (S.REFUSING, H.UP, H.SUSPENDED),
    (S.REFUSING, H.FAILING, H.SUSPENDED),
    (S.REFUSING, H.RECOVERING, H.SUSPENDED),
    *((S.SUSPEND, health, H.SUSPENDED) for health in H),
    (S.RESUME, H.SUSPENDED, H.RECOVERING),
    (S.DRAIN, H.SUSPENDED, H.RECOVERING),
    (S.DRAIN, H.DOWN, H.RECOVERING),
    (S.DRAIN, H.FAILING, H.RECOVERING),
}


def _in(health: Health, by: str | None = None) -> Destination:
    return Destination("main.example.test:25", health=health, suspended_by=by)


def test_only_these_moves_are_in_the_table() -> None:
    assert {(signal, was, to) for signal, moves in MOVES.items() for was, to in moves.items()} == ALLOWED


@pytest.mark.parametrize("health", H)
@pytest.mark.parametrize("signal", S)
def test_what_the_table_does_not_know_changes_nothing(health: Health, signal: Signal) -> None:
    before = _in(health, "breaker" if health is H.SUSPENDED else None)
    after = moved(before, signal, NOW)
    if health not in MOVES[signal]:
        assert after is before
    else:
        assert after.health is MOVES[signal][health]


def test_what_a_person_suspended_only_a_person_resumes() -> None:
    suspended = moved(_in(H.UP), S.SUSPEND, NOW)
    assert suspended.suspended_by == "person"
    for signal in (S.TAKEN, S.ANSWERED, S.FLOWING, S.REFUSING, S.DEAD):
        assert moved(suspended, signal, NOW) is suspended
    assert moved(suspended, S.RESUME, NOW).health is H.RECOVERING


def test_a_person_takes_the_breakers_suspension_over() -> None:
    taken_over = moved(_in(H.SUSPENDED, "breaker"), S.SUSPEND, NOW)
    assert taken_over.suspended_by == "person"


def test_three_failed_sessions_in_a_row_are_one_dead_destination() -> None:
    tally = Tally()
    assert [tally.failed() for _ in range(3)] == [S.TROUBLE, S.TROUBLE, S.DEAD]


def test_a_letter_taken_breaks_every_row() -> None:
    tally = Tally()
    for _ in range(2):
        tally.failed()
    tally.taken()
    assert tally.failed() is S.TROUBLE
    for _ in range(4):
        tally.refused_letter("ann@example.test")
    tally.taken()
    assert tally.refused_letter("ann@example.test") is None


def test_five_refusals_in_a_row_trip_the_breaker() -> None:
    tally = Tally()
    signals = [tally.refused_letter(f"{number}@example.test") for number in range(5)]
    assert signals == [None, None, None, None, S.REFUSING]
    assert tally.refused == tuple(f"{number}@example.test" for number in range(5))


def test_ten_refusals_of_the_last_twenty_trip_the_breaker() -> None:
    tally = Tally()
    signals = []
    for _ in range(10):
        tally.taken()
        signals.append(tally.refused_letter("ann@example.test"))
    assert signals == [None] * 9 + [S.REFUSING]


def test_a_4xx_never_counts_as_a_refusal_but_five_with_nothing_taken_are_trouble() -> None:
    tally = Tally()
    assert [tally.deferred() for _ in range(5)] == [None] * 4 + [S.TROUBLE]
    assert tally.refusals == 0
