"""The one header that we add (RFC 5321 section 4.4), and the names of receipts."""

import re
import secrets
import time
from functools import lru_cache
from typing import NamedTuple

# What may stand for a client's name in a header; it says what it likes.
_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
# In pairs of letters, ten bits each: a receipt's place in its millisecond, and before it the process's own mark.
_PLACE_PAIRS, _OWN_PAIRS = 3, 5
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Receipt(NamedTuple):
    """What one reading of the clock names: the receipt's id, when it was, and the same for the header."""

    id: str
    at: str
    date: str


def header(
    *,
    helo: str,
    address: str,
    hostname: str,
    protocol: str,
    receipt: Receipt,
    recipient: str | None,
) -> bytes:
    """The Received header. `recipient` only where there is one: others must not learn of each other by it."""
    literal = f"IPv6:{address}" if ":" in address else address
    receiver = f"\r\n\tfor <{recipient}>" if recipient else ""
    return (
        f"Received: from {_UNSAFE.sub('?', helo)} ([{literal}])\r\n"
        f"\tby {hostname} with {protocol} id {receipt.id}{receiver};\r\n"
        f"\t{receipt.date}\r\n"
    ).encode()


def protocol(*, is_extended: bool, is_tls: bool, is_utf8: bool) -> str:
    """The `with` clause: RFC 3848, and RFC 6531 section 4.3 for UTF8SMTP."""
    if is_utf8:
        return "UTF8SMTPS" if is_tls else "UTF8SMTP"
    if is_tls:
        return "ESMTPS"
    return "ESMTP" if is_extended else "SMTP"


class Receipts:
    """Names receipts by ULIDs that only grow. They have to be unique, not secret: what is random is drawn once."""

    __slots__ = ("_head", "_millisecond", "_own", "_place")

    def __init__(self) -> None:
        self._millisecond = 0
        self._head = ""
        # Counted up for longer than a millisecond when the clock is put back; there is room for a billion.
        self._place = 0
        self._own = _encoded(secrets.randbits(10 * _OWN_PAIRS), _OWN_PAIRS)

    def new(self) -> Receipt:
        now = time.time_ns() // 1_000_000
        if now > self._millisecond:
            self._millisecond = now
            self._head = _encoded(now, 5) + self._own
            self._place = 0
        else:
            self._place += 1
        second, millisecond = divmod(now, 1000)
        at, date = _named(second)
        return Receipt(self._head + _encoded(self._place, _PLACE_PAIRS), f"{at}.{millisecond:03d}Z", date)


def _encoded(number: int, pairs: int) -> str:
    """Crockford's base 32, ten bits at a time."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(10 * (pairs - 1), -1, -10)])


@lru_cache(maxsize=4)
def _named(second: int) -> tuple[str, str]:
    """By RFC 3339 and by RFC 5322 section 3.3; not by strftime, whose days are in the machine's language."""
    t = time.gmtime(second)
    clock = f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
    date = f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {clock} +0000"
    return f"{t.tm_year}-{t.tm_mon:02d}-{t.tm_mday:02d}T{clock}", date
