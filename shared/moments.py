"""Points in time as people and programs exchange them: UTC, RFC 3339, milliseconds."""

from datetime import UTC, datetime


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
