"""A main server's health, as a table of states and moves; everything else walks it. Pure.

    up ──trouble──> failing ──dead──> down ──answered──> recovering ──flowing──> up
                       │                                     ^    │ failed: down
                       └────────────── taken ────────────────┤    │ refusing: suspended
    any ──suspend, or refusing everything──> suspended ──resume, or a test that is taken

Health belongs to host and port. While a destination is not up, its letters wait for it and not for a clock: nothing is
written into them, so that going down and coming back cost the same for ten letters and for a million.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

# Failed sessions in a row, with none working, and a destination is down.
FAILURES_TO_DOWN = 3
# 4xx answers in a row with nothing taken, and it is failing.
DEFERRALS_TO_FAILING = 5
# Refusals in a row, or so many of the last letters, and it is suspended: a server that was rebuilt refuses everything.
REFUSALS_TO_SUSPEND = 5
REFUSALS_OF_RECENT = 10
RECENT = 20
# Addresses that were refused, so that a test takes another; more are forgotten.
MOST_REFUSED = 500


class Health(StrEnum):
    """What is known of a main server."""

    UP = "up"
    FAILING = "failing"
    DOWN = "down"
    RECOVERING = "recovering"
    SUSPENDED = "suspended"


class Signal(StrEnum):
    """What moves a destination from one state to another."""

    TROUBLE = "trouble"  # a session failed while none worked, or 4xx to everything
    DEAD = "dead"  # and again and again
    ANSWERED = "answered"  # a probe was greeted
    TAKEN = "taken"  # a letter was taken
    FLOWING = "flowing"  # as many connections work as may, or nothing is left to send
    REFUSING = "refusing"  # 5xx to everything
    SUSPEND = "suspend"  # a person's verbs
    RESUME = "resume"
    DRAIN = "drain"


H, S = Health, Signal
MOVES: dict[Signal, dict[Health, Health]] = {
    # A probe was greeted and then the session failed: no need to fail three times more.
    S.TROUBLE: {H.UP: H.FAILING, H.RECOVERING: H.DOWN},
    S.DEAD: {H.UP: H.DOWN, H.FAILING: H.DOWN, H.RECOVERING: H.DOWN},
    S.ANSWERED: {H.DOWN: H.RECOVERING},
    S.TAKEN: {H.FAILING: H.RECOVERING, H.DOWN: H.RECOVERING, H.SUSPENDED: H.RECOVERING},
    S.FLOWING: {H.RECOVERING: H.UP, H.FAILING: H.UP},
    S.REFUSING: {H.UP: H.SUSPENDED, H.FAILING: H.SUSPENDED, H.RECOVERING: H.SUSPENDED},
    S.SUSPEND: dict.fromkeys(H, H.SUSPENDED),
    S.RESUME: {H.SUSPENDED: H.RECOVERING},
    S.DRAIN: {H.SUSPENDED: H.RECOVERING, H.DOWN: H.RECOVERING, H.FAILING: H.RECOVERING},
}
del H, S


@dataclass(frozen=True, slots=True)
class Destination:
    """One main server, as the database keeps it. `name` is host:port; `window` is how many connections may be open to
    it over all forwarders, None: as many as the setting says; `refused` are addresses it refused before it was
    suspended; `next_probe_at` is when it is asked, or tested, next; `version` rises with each change."""

    name: str
    health: Health = Health.UP
    since: datetime | None = None
    suspended_by: str | None = None
    window: int | None = None
    refused: tuple[str, ...] = ()
    next_probe_at: datetime | None = None
    taken_at: datetime | None = None
    taken_by: str | None = None
    probe_asked_at: datetime | None = None
    version: int = 0

    @property
    def flows(self) -> bool:
        """Whether letters may go to it at all, be it one at a time."""
        return self.health in (Health.UP, Health.FAILING, Health.RECOVERING)

    @property
    def is_tested(self) -> bool:
        """Suspended by the breaker: now and then one letter shows whether it still refuses everything."""
        return self.health is Health.SUSPENDED and self.suspended_by == "breaker"


@dataclass(frozen=True, slots=True)
class Change:
    """A step of a destination's history. `why` is in plain words, `by` the breaker, a person's name or None."""

    at: datetime
    health: Health
    why: str
    by: str | None = None


def moved(destination: Destination, signal: Signal, now: datetime, *, refused: tuple[str, ...] = ()) -> Destination:
    """The destination after `signal`; itself where the table knows no such move."""
    to = MOVES[signal].get(destination.health, destination.health)
    taken_over = signal is Signal.SUSPEND and destination.suspended_by != "person"
    if signal is Signal.TAKEN and destination.suspended_by == "person":
        # What was under way when a person suspended it changes nothing of what he wants.
        return destination
    if to is destination.health and not taken_over:
        return destination
    suspended_by = {Signal.SUSPEND: "person", Signal.REFUSING: "breaker"}.get(signal)
    return replace(
        destination,
        health=to,
        since=now,
        suspended_by=suspended_by,
        window=None,
        refused=refused[-MOST_REFUSED:] if signal is Signal.REFUSING else (),
        next_probe_at=None,
    )


@dataclass(slots=True)
class Tally:
    """What one forwarder has lately seen of a destination: turns single answers into signals.

    Rows are counted by each forwarder for itself, so that a healthy destination costs no write for them.
    """

    failures: int = 0
    refusals: int = 0
    deferrals: int = 0
    recent: str = ""
    refused: tuple[str, ...] = ()

    def failed(self) -> Signal:
        """No session came about, or the line broke, and no other session works."""
        self.failures += 1
        return Signal.DEAD if self.failures >= FAILURES_TO_DOWN else Signal.TROUBLE

    def taken(self) -> Signal:
        self.failures = self.refusals = self.deferrals = 0
        self.refused = ()
        self._remember("t")
        return Signal.TAKEN

    def refused_letter(self, address: str) -> Signal | None:
        """A 5xx, at whichever stage."""
        self.failures = 0
        self.refusals += 1
        self.refused = (*(known for known in self.refused if known != address), address)[-MOST_REFUSED:]
        self._remember("r")
        if self.refusals >= REFUSALS_TO_SUSPEND or self.recent.count("r") >= REFUSALS_OF_RECENT:
            return Signal.REFUSING
        return None

    def deferred(self) -> Signal | None:
        """A 4xx: never counted as a refusal."""
        self.failures = 0
        self.deferrals += 1
        return Signal.TROUBLE if self.deferrals >= DEFERRALS_TO_FAILING else None

    def _remember(self, what: str) -> None:
        self.recent = (self.recent + what)[-RECENT:]
