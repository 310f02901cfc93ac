"""ENVELOPE (RFC 9051 section 7.5.2), and the day on which a letter says that it was written."""

import re
from dataclasses import dataclass
from datetime import date

from services.store.mime.addresses import Address, addresses
from services.store.mime.content import text_of
from services.store.mime.fields import Fields
from services.store.mime.quoting import for_people, nstring, unfolded

EMPTY = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAY_MONTH_YEAR = re.compile(
    rb"(?<![0-9:])([0-9]{1,2})[ \t\r\n-]{1,20}([a-z]{3})[a-z]{0,6}\.?,?[ \t\r\n-]{1,20}([0-9]{2,4})(?![0-9:])",
    re.IGNORECASE,
)
_DATE_BYTES = 200
# In all envelopes of a letter. Two bytes name somebody, and he is told in thirty, thrice.
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class Budget:
    """How many addresses may still be told of a letter."""

    left: int = MOST_ADDRESSES


def envelope(fields: Fields, budget: Budget) -> bytes:
    """In IMAP's syntax with its parentheses. Sender and Reply-To are From's where there are none."""

    def people(name: bytes) -> bytes:
        return _people(fields, name, budget)

    wrote = people(b"from")
    return b"(%b)" % b" ".join(
        (
            unfolded(_last(fields, b"date")),
            for_people(_last(fields, b"subject")),
            wrote or b"NIL",
            people(b"sender") or wrote or b"NIL",
            people(b"reply-to") or wrote or b"NIL",
            people(b"to") or b"NIL",
            people(b"cc") or b"NIL",
            people(b"bcc") or b"NIL",
            unfolded(_last(fields, b"in-reply-to")),
            unfolded(_last(fields, b"message-id")),
        )
    )


def sent_on(fields: Fields) -> str | None:
    """The Date field's day as written, whatever its zone (RFC 9051 section 6.4.4, SENTON), as YYYY-MM-DD."""
    found = _DAY_MONTH_YEAR.search((_last(fields, b"date") or b"")[:_DATE_BYTES])
    if found is None or (month := found[2].lower()) not in _MONTHS:
        return None
    year = int(found[3])
    if len(found[3]) < 4:
        # RFC 5322 section 4.3.
        year += 2000 if year < 50 and len(found[3]) == 2 else 1900
    try:
        return date(year, _MONTHS.index(month) + 1, int(found[1])).isoformat()
    except ValueError:
        return None


def _last(fields: Fields, name: bytes) -> bytes | None:
    values = fields.get(name)
    return text_of(values[-1]) if values else None


def _people(fields: Fields, name: bytes, budget: Budget) -> bytes:
    """Several fields of a name are one list: nobody may hide an address in the second."""
    found: list[bytes] = []
    for value in fields.get(name, ()):
        if budget.left > 0:
            read = addresses(value, budget.left)
            budget.left -= len(read)
            found += map(_address, read)
    return b"(%b)" % b"".join(found) if found else b""


def _address(one: Address) -> bytes:
    return b"(%b %b %b %b)" % (for_people(one.name), nstring(one.route), nstring(one.mailbox), nstring(one.domain))
