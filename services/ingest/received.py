"""The one header that we add (RFC 5321 section 4.4), and the names of receipts."""

import re
import secrets
import time
from datetime import datetime
from functools import lru_cache

# What may stand for a client's name in a header; it says what it likes.
_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def header(
    *,
    helo: str,
    address: str,
    hostname: str,
    protocol: str,
    receipt_id: str,
    recipient: str | None,
    moment: datetime,
) -> bytes:
    """The Received header. `recipient` only where there is one: others must not learn of each other by it."""
    literal = f"IPv6:{address}" if ":" in address else address
    receiver = f"\r\n\tfor <{recipient}>" if recipient else ""
    return (
        f"Received: from {_UNSAFE.sub('?', helo)} ([{literal}])\r\n"
        f"\tby {hostname} with {protocol} id {receipt_id}{receiver};\r\n"
        f"\t{_date(int(moment.timestamp()))}\r\n"
    ).encode()


def protocol(*, is_extended: bool, is_tls: bool, is_utf8: bool) -> str:
    """The `with` clause: RFC 3848, and RFC 6531 section 4.3 for UTF8SMTP."""
    if is_utf8:
        return "UTF8SMTPS" if is_tls else "UTF8SMTP"
    if is_tls:
        return "ESMTPS"
    return "ESMTP" if is_extended else "SMTP"


class ReceiptIds:
    """ULIDs that only grow: a millisecond's later ones are the first one's successors."""

    __slots__ = ("_head", "_millisecond", "_tail")

    def __init__(self) -> None:
        self._millisecond = 0
        self._head = ""
        self._tail = 0

    def new(self) -> str:
        millisecond = time.time_ns() // 1_000_000
        if millisecond > self._millisecond:
            self._millisecond = millisecond
            self._head = _encoded(millisecond, 5)
            # The top bit is free, so that the successors of a millisecond never run over.
            self._tail = secrets.randbits(_RANDOM_BITS - 1)
        else:
            self._tail += 1
        return self._head + _encoded(self._tail, 8)


def _encoded(number: int, pairs: int) -> str:
    """Crockford's base 32, ten bits at a time."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(10 * (pairs - 1), -1, -10)])


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    """RFC 5322 section 3.3; not by strftime, whose names of days are those of the machine's language."""
    at = time.gmtime(second)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000"
    )
