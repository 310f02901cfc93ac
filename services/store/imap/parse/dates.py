"""Days and times (RFC 9051 section 9, date and date-time). Pure."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

from services.store.imap.parse.errors import bad
from services.store.imap.parse.lexer import Cursor

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"), start=1
    )
}
_DAY = rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"
_DATE = re.compile(rb'%s(?![0-9])|"%s"' % (_DAY, _DAY))
_DATE_TIME = re.compile(rb'" ?%s ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"' % _DAY)
# A day more or less, and another zone, must still be a time. Programs say "the year 1" for "ever".
FIRST_YEAR, LAST_YEAR = 2, 9998
# A leap second is the second before it, for datetime has none.
_LAST_SECOND = 59


def read_date(cursor: Cursor) -> date:
    """A day, in quotes or not."""
    match = cursor.need(_DATE, "a date")
    day, month, year = match.groups()[:3] if match.group(1) else match.groups()[3:]
    try:
        return date(min(max(int(year), FIRST_YEAR), LAST_YEAR), _month(month), int(day))
    except ValueError:
        raise bad("There is no such day") from None


def sees_date_time(cursor: Cursor) -> bool:
    return cursor.sees(b'"')


def read_date_time(cursor: Cursor) -> datetime:
    """A time with its zone."""
    day, month, year, hour, minute, second, sign, hours, minutes = cursor.need(_DATE_TIME, "a date and time").groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        zone = timezone(-offset if sign == b"-" else offset) if offset else UTC
        time = (int(hour), int(minute), min(int(second), _LAST_SECOND))
        at = datetime(int(year), _month(month), int(day), *time, tzinfo=zone)
    except ValueError:
        raise bad("There is no such time") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise bad("There is no such time")
    return at


def _month(name: bytes) -> int:
    """0, which no date has, where there is none."""
    return _MONTHS.get(name.upper(), 0)
