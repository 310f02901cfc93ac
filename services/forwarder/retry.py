"""When a deferred letter is tried again. Pure: handed the time and the dice."""

from datetime import datetime, timedelta

JITTER = 0.2


def due(now: datetime, retry_seconds: float, dice: float) -> datetime:
    """The next try; `dice` in [0, 1) spreads letters that failed together by a fifth, so that they do not come back
    together."""
    return now + timedelta(seconds=retry_seconds * (1 - JITTER / 2 + JITTER * dice))
