"""A letter's states and moves, as a table; everything else walks it. Pure.

    pending ──claim──> in_flight ──deliver──> forwarded ──(copy removed by the pruner)
       ^  ^               │ defer
       │  └──── deferred <┤
       │                  └ park, expire ──> parked (readable; a person can re-arm it)
       └─ rearm ── cancelled <── delete (from pending, deferred or parked only)

A delete that meets in_flight cannot cancel: it leaves a wish, and whatever ends the claim but a 250 then ends in
`cancelled`. `none` is a letter that nobody wants forwarded. Whether the copy is in its mailbox or in the bin is
another question, answered by the document's `binned`.
"""

import hashlib
from base64 import b32encode
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What has become of a letter's forward."""

    NONE = "none"
    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    DEFERRED = "deferred"
    FORWARDED = "forwarded"
    PARKED = "parked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Move:
    """One step: from any of `start` to `end`; to `wished` instead where a delete came while in flight."""

    start: tuple[State, ...]
    end: State
    wished: State | None = None


S = State
MOVES: dict[str, Move] = {
    # A forwarder takes the letter: no SMTP transaction without it.
    "claim": Move((S.PENDING, S.DEFERRED), S.IN_FLIGHT),
    # A 250 is true whatever has happened to the claim since (design rule 7).
    "deliver": Move((S.IN_FLIGHT, S.PENDING, S.DEFERRED, S.PARKED, S.CANCELLED), S.FORWARDED),
    "defer": Move((S.IN_FLIGHT,), S.DEFERRED, wished=S.CANCELLED),
    "park": Move((S.IN_FLIGHT,), S.PARKED, wished=S.CANCELLED),
    # The claim is returned untried: a letter never tried is pending again, any other deferred.
    "give_back": Move((S.IN_FLIGHT,), S.DEFERRED, wished=S.CANCELLED),
    # Its lifetime is over, and its destination takes nothing that could end it by a try.
    "expire": Move((S.PENDING, S.DEFERRED), S.PARKED),
    "delete": Move((S.PENDING, S.DEFERRED, S.PARKED), S.CANCELLED),
    "rearm": Move((S.PARKED, S.CANCELLED, S.FORWARDED), S.PENDING),
}
del S

# The forward is not over: never purged, never expired (design rule 4).
UNFINISHED = (State.PENDING, State.IN_FLIGHT, State.DEFERRED)
WAITING = (State.PENDING, State.DEFERRED)

# Five unknown results in a row park a letter (design rule 8).
UNKNOWN_RESULTS_TO_PARK = 5


class Mode(StrEnum):
    """What a user's letters are for. One at a time: two that contradict each other forward twice."""

    STORE_AND_FORWARD = "store_and_forward"
    FORWARD_ONLY = "forward_only"
    STORE_ONLY = "store_only"

    @property
    def forwards(self) -> bool:
        return self is not Mode.STORE_ONLY


def letter_id(receipt_id: str, address: str) -> str:
    """The id of the copy of receipt `receipt_id` in the mailbox of `address`: made again, it is the same (rule 1).

    It begins with the receipt's ULID, so ids sort by arrival.
    """
    digest = hashlib.blake2b(address.encode(), digest_size=10).digest()
    return f"{receipt_id}-{b32encode(digest).decode()}"


def event_id(letter: str, kind: str, number: int) -> str:
    """The id of the event `kind` of a letter; `number` is its arming, or for `deleted` which removal it was."""
    return f"{letter}.{kind}.{number}"
