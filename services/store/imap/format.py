"""How answers are written (RFC 9051 section 9). Pure, and made for lists of 10,000 letters.

What can stand in quotes does. What cannot goes as a literal, which the one who reads counts and does not look into.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime

from services.store.imap.commands import Item, Section
from services.store.imap.parse.utf7 import encode_utf7

# strftime would say them in the language of the machine.
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

# Atoms that nobody reads as something else; an atom may have a few more characters.
_PLAIN = re.compile(rb"(?!nil\Z)[A-Za-z0-9&+,./:=@_-]+", re.IGNORECASE)
_NEEDS_ESCAPE = re.compile(rb'["\\]')
# No string may hold a NUL. The lengths that were announced must stay: Dovecot puts this octet in its place, too.
_NUL, _INSTEAD_OF_NUL = b"\0", b"\x80"


def literal(raw: bytes) -> bytes:
    """`raw` has no NUL, or whoever asked reads it anyway."""
    return b"{%d}\r\n%b" % (len(raw), raw)


def string(raw: bytes, is_utf8: bool = False) -> bytes:
    """In quotes where it can be. `is_utf8`: quotes may hold UTF-8, which `raw` then is (RFC 9051 section 4.3)."""
    if _NUL in raw:
        raw = raw.replace(_NUL, b"?" if is_utf8 else _INSTEAD_OF_NUL)
    if b"\n" in raw or b"\r" in raw or not (is_utf8 or raw.isascii()):
        return literal(raw)
    if b'"' in raw or b"\\" in raw:
        raw = _NEEDS_ESCAPE.sub(rb"\\\g<0>", raw)
    return b'"' + raw + b'"'


def quoted(text: str, is_utf8: bool = False) -> bytes:
    return string(text.encode("utf-8", "replace"), is_utf8)


def nstring(raw: bytes | None) -> bytes:
    return b"NIL" if raw is None else string(raw)


def astring(text: str, is_utf8: bool = False) -> bytes:
    """Without quotes where nothing in it needs them."""
    raw = text.encode("utf-8", "replace")
    return raw if _PLAIN.fullmatch(raw) else string(raw, is_utf8)


def mailbox(name: str, is_utf8: bool) -> bytes:
    """In UTF-8 once the client has asked for it (RFC 6855 section 3), else in modified UTF-7."""
    if is_utf8:
        return astring(name, is_utf8=True)
    raw = encode_utf7(name)
    return raw if _PLAIN.fullmatch(raw) else string(raw)


def flag_list(flags: Iterable[str]) -> bytes:
    """Flags as commands have them: atoms."""
    return b"(%b)" % " ".join(flags).encode("ascii", "replace")


def date_of(day: date) -> bytes:
    """RFC 9051 section 9, date-text: `23-Nov-2026`."""
    return b"%d-%b-%04d" % (day.day, MONTHS[day.month - 1], day.year)


def internal_date(at: datetime) -> bytes:
    """RFC 9051 section 9, date-time, in the zone of `at`, which has one: `" 3-Nov-2026 17:00:00 +0000"`."""
    offset = at.utcoffset()
    if offset is None:
        raise ValueError("a time without a zone")
    minutes = int(offset.total_seconds()) // 60
    zone = (b"-%02d%02d" if minutes < 0 else b"+%02d%02d") % divmod(abs(minutes), 60)
    day = (at.day, MONTHS[at.month - 1], at.year)
    return b'"%2d-%b-%04d %02d:%02d:%02d %b"' % (*day, at.hour, at.minute, at.second, zone)


def numbers(rising: Iterable[int]) -> bytes:
    """Rising numbers as a sequence set, `1:3,5`; b"" for none, which is no set, so say nothing then."""
    return ranges(_runs(rising))


def ranges(runs: Iterable[tuple[int, int]]) -> bytes:
    """Ranges as a sequence set."""
    return b",".join([b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs])


def _runs(rising: Iterable[int]) -> Iterable[tuple[int, int]]:
    each = iter(rising)
    first = next(each, None)
    if first is None:
        return
    last = first
    for number in each:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def item_name(asked: Item | Section) -> bytes:
    """Under what an item of FETCH is answered (RFC 9051 section 7.5.2): as it was asked for, without PEEK, and with the
    first octet of what was cut."""
    if isinstance(asked, Item):
        return asked.name.encode("ascii")
    spec = ".".join([*map(str, asked.path), asked.text] if asked.text else map(str, asked.path)).encode("ascii")
    fields = b" (%b)" % b" ".join(map(astring, asked.fields)) if asked.fields else b""
    origin = b"" if asked.partial is None else b"<%d>" % asked.partial[0]
    return b"%b[%b%b]%b" % (asked.what.encode("ascii"), spec, fields, origin)
