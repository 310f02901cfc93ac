"""When a deferred letter is tried again. Pure: handed the time and the dice."""

from datetime import datetime, timedelta

from services.forwarder.outcome import Clock

JITTER = 0.2
# 5, 10, 15, 30 and 60 minutes, then hourly, where the first wait is 5 minutes.
STEPS = (1, 2, 3, 6, 12)


def due(now: datetime, retry_seconds: float, attempts: int, dice: float) -> datetime:
    """The next try after the try number `attempts`; `dice` in [0, 1) spreads letters that failed together by a fifth,
    so that they do not come back together."""
    step = STEPS[min(max(attempts, 1), len(STEPS)) - 1]
    return now + timedelta(seconds=retry_seconds * step * (1 - JITTER / 2 + JITTER * dice))


def due_by(
    clock: Clock,
    now: datetime,
    *,
    retry: datetime,
    destination: datetime,
    refused_at: datetime | None,
    belief: timedelta,
    login: datetime,
) -> datetime:
    """The next try by what the letter waits for: one of the moments given, or when a second refusal is believed."""
    match clock:
        case Clock.DESTINATION:
            return destination
        case Clock.LOGIN:
            return login
        case Clock.BELIEF:
            believed = (refused_at or now) + belief
            return believed if believed > now else now + belief
        case Clock.RETRY:
            return retry
