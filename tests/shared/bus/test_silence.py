"""When a broker is known to be down, and when it is known to be back."""

from shared.bus.silence import Silence


def test_nothing_owed_is_no_silence() -> None:
    assert not Silence(5).is_known(1000)


def test_an_answer_that_is_owed_for_long_is_silence() -> None:
    silence = Silence(5)
    silence.owe("a", 100)
    assert not silence.is_known(104)
    assert silence.is_known(106)


def test_any_acknowledgement_meanwhile_breaks_it() -> None:
    silence = Silence(5)
    silence.owe("a", 100)
    silence.owe("b", 101)
    silence.acknowledge("b", 104)
    assert not silence.is_known(108)
    assert silence.is_known(110)


def test_a_failure_is_silence_until_something_is_heard() -> None:
    silence = Silence(5)
    silence.owe("a", 100)
    silence.fail("a", 103)
    assert silence.is_known(103.1)
    silence.hear(104)
    assert not silence.is_known(104.1)


def test_a_broker_that_answers_questions_and_acknowledges_nothing_is_silent() -> None:
    silence = Silence(5)
    silence.owe("a", 100)
    silence.hear(105)
    assert silence.is_known(106)
