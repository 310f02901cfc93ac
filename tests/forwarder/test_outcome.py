"""What an answer means for the letter and for the destination, as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from services.forwarder import retry
from services.forwarder.outcome import Answer, Clock, Meaning, Outcome, Patience, Tries, decide

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PATIENCE = Patience(lifetime=timedelta(days=30), belief=timedelta(minutes=15))
NEW = Tries(armed_at=NOW - timedelta(minutes=1))
OLD = Tries(armed_at=NOW - timedelta(days=31))

REFUSED = Outcome("defer", refused=True, clock=Clock.BELIEF)
AT_ITS_TIME = Outcome("defer")
WITH_DESTINATION = Outcome("defer", clock=Clock.DESTINATION)
WITH_LOGIN = Outcome("defer", clock=Clock.LOGIN)


@pytest.mark.parametrize(
    ("answer", "outcome", "meaning"),
    [
        (Answer("dot", 250, "ok", dot_sent=True), Outcome("deliver"), Meaning.TAKEN),
        (Answer("dot", 200, "odd but good", dot_sent=True), Outcome("deliver"), Meaning.TAKEN),
        (Answer("dot", 0, "connection lost", dot_sent=True), Outcome("defer", unknown=True), Meaning.FAILED),
        (Answer("dot", 451, "later", dot_sent=True), AT_ITS_TIME, Meaning.DEFERRED),
        (Answer("dot", 554, "no", dot_sent=True), REFUSED, Meaning.REFUSED),
        (Answer("rcpt", 550, "no such user"), REFUSED, Meaning.REFUSED),
        (Answer("mail", 552, "too large"), REFUSED, Meaning.REFUSED),
        (Answer("rcpt", 450, "greylisted"), AT_ITS_TIME, Meaning.DEFERRED),
        (Answer("rcpt", 451, "4.3.2 too many connections"), AT_ITS_TIME, Meaning.BUSY),
        (Answer("data", 250, "no 354"), AT_ITS_TIME, Meaning.DEFERRED),
        (Answer("content", 0, "connection lost"), AT_ITS_TIME, Meaning.FAILED),
        (Answer("mail", 421, "closing"), WITH_DESTINATION, Meaning.BUSY),
        (Answer("banner", 421, "too busy"), WITH_DESTINATION, Meaning.BUSY),
        (Answer("connect", 0, "refused"), WITH_DESTINATION, Meaning.FAILED),
        (Answer("banner", 554, "go away"), WITH_DESTINATION, Meaning.FAILED),
        (Answer("ehlo", 0, "no answer"), WITH_DESTINATION, Meaning.FAILED),
        (Answer("auth", 535, "wrong password"), WITH_LOGIN, Meaning.REFUSED),
        (Answer("auth", 454, "not now"), WITH_LOGIN, Meaning.NOTHING),
        (Answer("starttls", 0, "certificate expired"), WITH_LOGIN, Meaning.NOTHING),
        (Answer("mail", 530, "authenticate first"), WITH_LOGIN, Meaning.REFUSED),
    ],
)
def test_an_answer_means_this(answer: Answer, outcome: Outcome, meaning: Meaning) -> None:
    assert decide(answer, NEW, PATIENCE, NOW) == outcome
    assert answer.meaning is meaning


@pytest.mark.parametrize("answer", [Answer("rcpt", 450, ""), Answer("rcpt", 550, ""), Answer("connect", 0, "")])
def test_a_letter_whose_lifetime_is_over_is_parked(answer: Answer) -> None:
    assert decide(answer, OLD, PATIENCE, NOW) == Outcome("park")


def test_a_delivery_counts_however_old_the_letter_is() -> None:
    assert decide(Answer("dot", 250, "", dot_sent=True), OLD, PATIENCE, NOW).end == "deliver"


def test_an_unknown_result_never_parks_by_age() -> None:
    assert decide(Answer("dot", 0, "", dot_sent=True), OLD, PATIENCE, NOW) == Outcome("defer", unknown=True)


LONG_AGO, JUST_NOW = NOW - timedelta(minutes=20), NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("refused_at", "taken_at", "end"),
    [
        (None, JUST_NOW, "defer"),
        (JUST_NOW, NOW, "defer"),
        (LONG_AGO, None, "defer"),
        (LONG_AGO, LONG_AGO - timedelta(seconds=1), "defer"),
        (LONG_AGO, JUST_NOW, "park"),
    ],
    ids=["the first", "too soon after it", "nothing taken", "nothing taken since", "long after, and others were taken"],
)
def test_a_refusal_is_believed_when_others_are_taken_and_it_is_said_again(
    refused_at: datetime | None, taken_at: datetime | None, end: str
) -> None:
    tries = Tries(NEW.armed_at, refused_at, taken_at)
    assert decide(Answer("rcpt", 550, ""), tries, PATIENCE, NOW).end == end


@pytest.mark.parametrize(("dice", "seconds"), [(0.0, 270.0), (0.5, 300.0), (1.0, 330.0)])
def test_retries_are_spread_by_a_fifth(dice: float, seconds: float) -> None:
    assert retry.due(NOW, 300, 1, dice) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("attempts", "minutes"), [(0, 5), (1, 5), (2, 10), (3, 15), (4, 30), (5, 60), (99, 60)])
def test_a_letters_own_retries_grow_to_an_hour(attempts: int, minutes: int) -> None:
    assert retry.due(NOW, 300, attempts, 0.5) == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("clock", "refused_at", "seconds"),
    [
        (Clock.RETRY, None, 1),
        (Clock.DESTINATION, None, 2),
        (Clock.LOGIN, None, 3),
        (Clock.BELIEF, None, 900),
        (Clock.BELIEF, NOW - timedelta(seconds=100), 800),
        (Clock.BELIEF, NOW - timedelta(hours=1), 900),
    ],
)
def test_the_next_try_is_by_what_the_letter_waits_for(clock: Clock, refused_at: datetime | None, seconds: int) -> None:
    after = [NOW + timedelta(seconds=number) for number in (1, 2, 3)]
    due = retry.due_by(
        clock,
        NOW,
        retry=after[0],
        destination=after[1],
        login=after[2],
        refused_at=refused_at,
        belief=PATIENCE.belief,
    )
    assert due == NOW + timedelta(seconds=seconds)
