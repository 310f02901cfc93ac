"""What an answer of the main server means for the letter. Pure.

So far every refusal, 4xx or 5xx, defers the letter: a server that was rebuilt refuses everything, and a 5xx that is
believed at once would cost the mail.
"""

from dataclasses import dataclass

# Stages of a session, and then of a transaction.
SESSION_STAGES = frozenset({"connect", "banner", "ehlo", "starttls", "auth"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try: the stage it ended in, the code (0: none came) and the text that was said or describes it.

    `dot_sent`: the final dot was sent, so without an answer nobody knows whether the letter was taken.
    """

    stage: str
    code: int
    text: str
    dot_sent: bool = False

    @property
    def session_failed(self) -> bool:
        """The session never came about; no letter is to blame."""
        return self.stage in SESSION_STAGES


@dataclass(frozen=True, slots=True)
class Outcome:
    """The move that ends the claim, and whether the main server may have the letter all the same (design rule 8)."""

    end: str
    unknown: bool = False


def decide(answer: Answer, *, age_seconds: float, lifetime_seconds: float) -> Outcome:
    """What becomes of a letter that was armed `age_seconds` ago."""
    if answer.dot_sent and 200 <= answer.code < 300:
        return Outcome("deliver")
    unknown = answer.dot_sent and answer.code == 0
    # Never parked on an unknown result: the next answer, or the fifth unknown one, decides.
    if age_seconds > lifetime_seconds and not unknown:
        return Outcome("park")
    return Outcome("defer", unknown)
