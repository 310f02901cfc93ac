"""What an answer means for the letter, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from services.forwarder import retry
from services.forwarder.outcome import Answer, Outcome, decide

LIFETIME = 100.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer("dot", 250, "ok", dot_sent=True), Outcome("deliver")),
        (Answer("dot", 200, "odd but good", dot_sent=True), Outcome("deliver")),
        (Answer("dot", 451, "later", dot_sent=True), Outcome("defer")),
        (Answer("dot", 554, "no", dot_sent=True), Outcome("defer")),
        (Answer("dot", 0, "connection lost", dot_sent=True), Outcome("defer", unknown=True)),
        (Answer("content", 0, "connection lost"), Outcome("defer")),
        (Answer("mail", 421, "closing"), Outcome("defer")),
        (Answer("rcpt", 550, "no such user"), Outcome("defer")),
        (Answer("data", 250, "no 354"), Outcome("defer")),
        (Answer("connect", 0, "refused"), Outcome("defer")),
        (Answer("auth", 535, "wrong password"), Outcome("defer")),
    ],
)
def test_an_answer_ends_the_claim(answer: Answer, outcome: Outcome) -> None:
    assert decide(answer, age_seconds=1, lifetime_seconds=LIFETIME) == outcome


@pytest.mark.parametrize("code", [0, 421, 450, 550])
def test_a_letter_whose_lifetime_is_over_is_parked(code: int) -> None:
    answer = Answer("rcpt", code, "")
    assert decide(answer, age_seconds=LIFETIME + 1, lifetime_seconds=LIFETIME) == Outcome("park")


def test_a_delivery_counts_however_old_the_letter_is() -> None:
    answer = Answer("dot", 250, "", dot_sent=True)
    assert decide(answer, age_seconds=LIFETIME * 9, lifetime_seconds=LIFETIME).end == "deliver"


def test_an_unknown_result_never_parks_by_age() -> None:
    answer = Answer("dot", 0, "", dot_sent=True)
    assert decide(answer, age_seconds=LIFETIME * 9, lifetime_seconds=LIFETIME) == Outcome("defer", unknown=True)


@pytest.mark.parametrize(("stage", "failed"), [("connect", True), ("auth", True), ("mail", False), ("dot", False)])
def test_only_a_session_that_never_stood_holds_the_destination(stage: str, failed: bool) -> None:
    assert Answer(stage, 0, "").session_failed is failed


@pytest.mark.parametrize(("dice", "seconds"), [(0.0, 270.0), (0.5, 300.0), (1.0, 330.0)])
def test_retries_are_spread_by_a_fifth(dice: float, seconds: float) -> None:
    assert retry.due(NOW, 300, dice) == NOW + timedelta(seconds=seconds)
