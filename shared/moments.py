"""Points in time as people and programs exchange them: UTC, RFC 3339, milliseconds."""

import time
from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(moment: datetime) -> str:
    """`moment` as in 2026-03-01T12:00:00.000Z. A moment without a zone is taken as UTC, as MongoDB gives it."""
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # Not strftime, which takes three times as long; events and log lines have a time each.
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_rfc3339(text: str) -> datetime:
    """The moment that `text` names, in UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_now() -> datetime:
    """This machine's clock, for log lines and what is not decided by; the database's clock decides."""
    return datetime.now(UTC)


def rfc3339_now() -> str:
    """`rfc3339(utc_now())` at a third of the cost, for what is said of each letter."""
    second, millisecond = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_to_the_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=4)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
