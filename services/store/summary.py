"""What a letter's headers say of it: from, to, subject, date. Pure and total: any bytes give a summary, none an error.

The scan is our own. The email package's modern policy raises on real letters and needs seconds and hundreds of
megabytes for one hostile header; here every step is linear in what it reads, and what it reads is capped.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypedDict

from services.store.mime.words import decoded_words
from shared.moments import rfc3339

# Functional form: `from` is a keyword.
Summary = TypedDict("Summary", {"from": str, "to": str, "subject": str, "date": str | None})

HEADER_BYTES = 100 * 1024
LONGEST_TEXT = 500
# Room for 500 characters that are each written as an encoded word of their own.
_VALUE_BYTES = 16 * 1024
_DATE_CHARACTERS = 100
_WANTED = frozenset((b"from", b"to", b"subject", b"date"))

_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


def empty() -> Summary:
    """Of a letter whose headers could not be read."""
    return {"from": "", "to": "", "subject": "", "date": None}


def summarise(letter: bytes) -> Summary:
    """The summary of a letter, told from its first bytes."""
    found = _wanted_headers(letter[:HEADER_BYTES])
    return {
        "from": shown_text(found.get(b"from", b"")),
        "to": shown_text(found.get(b"to", b"")),
        "subject": shown_text(found.get(b"subject", b"")),
        "date": _date(found.get(b"date", b"")),
    }


def _wanted_headers(head: bytes) -> dict[bytes, bytes]:
    """The first header of each wanted name, unfolded, up to the first empty line; what is no header is passed over."""
    found: dict[bytes, bytes] = {}
    name = b""
    for line in head.split(b"\n"):
        line = line.removesuffix(b"\r")
        if not line:
            break
        if line[:1] in (b" ", b"\t"):
            if name and len(found[name]) < _VALUE_BYTES:
                found[name] += b" " + line.strip()
            continue
        match = _HEADER.match(line)
        name = match[1].lower() if match else b""
        if match is None or name not in _WANTED or name in found:
            name = b""
            continue
        found[name] = match[2].strip()
    return {name: value[:_VALUE_BYTES] for name, value in found.items()}


def shown_text(value: bytes) -> str:
    """A header's value as a person reads it: encoded words decoded, nothing that could not be shown or stored."""
    text = decoded_words(_raw_text(value))
    return _UNPRINTABLE.sub(_printable, text).strip()[:LONGEST_TEXT]


def _printable(match: re.Match[str]) -> str:
    return "\ufffd" if "\ud800" <= match[0][0] <= "\udfff" else " "


def _raw_text(value: bytes) -> str:
    """Headers are ASCII or UTF-8 (RFC 6532); of the rest, most is Windows'."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def _date(value: bytes) -> str | None:
    """RFC 5322 section 3.3, in UTC; None where it is missing or no date."""
    try:
        moment = parsedate_to_datetime(_raw_text(value)[:_DATE_CHARACTERS])
        return rfc3339(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))
    except Exception:
        # The library answers nonsense with half a dozen kinds of error.
        return None
