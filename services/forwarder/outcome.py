"""What an answer of the main server means: for the letter, and for the destination. Pure.

A 4xx defers the letter. A 5xx is not believed at once, for a server that was restored without its users says "550 no
such user" to everything: the letter is parked only when the destination has taken another one since the first refusal
and then, long enough after it, refuses this one again.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Stages of a session, and then of a transaction.
HOST_STAGES = frozenset({"connect", "banner", "ehlo"})
LOGIN_STAGES = frozenset({"starttls", "auth"})
SESSION_STAGES = HOST_STAGES | LOGIN_STAGES
# Answers to MAIL that mean the login and not the letter (RFC 4954 section 6).
_LOGIN_CODES = frozenset({530, 534, 535, 538})
_TOO_MANY = re.compile(
    r"too many|too much|connection (rate|count|limit)|concurren|rate limit|throttl|\b4\.3\.2\b", re.IGNORECASE
)


class Meaning(StrEnum):
    """What a try says of the destination."""

    TAKEN = "taken"
    REFUSED = "refused"
    DEFERRED = "deferred"
    # Closing or full: fewer connections would do.
    BUSY = "busy"
    # No session came about, or the line broke.
    FAILED = "failed"
    # The login's trouble, or nobody's: the host is there.
    NOTHING = "nothing"


class Clock(StrEnum):
    """What the letter's next try waits for."""

    RETRY = "retry"
    BELIEF = "belief"
    DESTINATION = "destination"
    LOGIN = "login"


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

    @property
    def blames_login(self) -> bool:
        """Others may well be let in: STARTTLS, AUTH, or MAIL for want of them."""
        return self.stage in LOGIN_STAGES or (self.stage == "mail" and self.code in _LOGIN_CODES)

    @property
    def is_taken(self) -> bool:
        return self.dot_sent and 200 <= self.code < 300

    @property
    def is_refusal(self) -> bool:
        return 500 <= self.code < 600

    @property
    def meaning(self) -> Meaning:
        """What it says of the destination."""
        if self.is_taken:
            return Meaning.TAKEN
        if self.code == 421:
            return Meaning.BUSY
        if self.stage in HOST_STAGES:
            return Meaning.BUSY if 400 <= self.code < 500 and _TOO_MANY.search(self.text) else Meaning.FAILED
        if self.is_refusal:
            return Meaning.REFUSED
        if self.stage in LOGIN_STAGES:
            return Meaning.NOTHING
        if self.code == 0:
            return Meaning.FAILED
        if 400 <= self.code < 500 and _TOO_MANY.search(self.text):
            return Meaning.BUSY
        return Meaning.DEFERRED


@dataclass(frozen=True, slots=True)
class Tries:
    """What was before: when the letter was armed, when it was first refused, and when the destination last took one."""

    armed_at: datetime
    refused_at: datetime | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a letter may wait in all, and after a first refusal before a second is believed."""

    lifetime: timedelta
    belief: timedelta


@dataclass(frozen=True, slots=True)
class Outcome:
    """The move that ends the claim; whether the main server may have the letter all the same (design rule 8); whether
    it refused it; and what the next try waits for."""

    end: str
    unknown: bool = False
    refused: bool = False
    clock: Clock = Clock.RETRY


def decide(answer: Answer, tries: Tries, patience: Patience, now: datetime) -> Outcome:
    """What becomes of the letter."""
    if answer.is_taken:
        return Outcome("deliver")
    if answer.dot_sent and answer.code == 0:
        # Never parked on an unknown result: the next answer, or the fifth unknown one, decides.
        return Outcome("defer", unknown=True)
    if now - tries.armed_at > patience.lifetime:
        return Outcome("park")
    if answer.blames_login:
        return Outcome("defer", clock=Clock.LOGIN)
    if answer.session_failed or answer.code == 421:
        return Outcome("defer", clock=Clock.DESTINATION)
    if answer.is_refusal:
        if _is_believed(tries, patience, now):
            return Outcome("park", refused=True)
        return Outcome("defer", refused=True, clock=Clock.BELIEF)
    return Outcome("defer")


def _is_believed(tries: Tries, patience: Patience, now: datetime) -> bool:
    first = tries.refused_at
    if first is None or now - first < patience.belief:
        return False
    return tries.taken_at is not None and tries.taken_at > first
