"""Bytes as IMAP writes them: NIL, "quoted" or {n} literal (RFC 9051 section 4.3)."""

import re

# Above so many escapes a literal is shorter.
_MOST_ESCAPES = 4
_PLAIN = re.compile(rb'[^"\\\r\n\x00\x80-\xff]*')
_QUOTABLE = re.compile(rb"[^\r\n\x00\x80-\xff]*")
_SPECIAL = re.compile(rb'(["\\])')
_SPACES = re.compile(rb"[ \t\r\n]+")
_LOST_LINE_END = re.compile(rb"[\r\n](?=[ \t\r\n]|\Z)")
_LINE_END = re.compile(rb"[\r\n]")


def literal(value: bytes) -> bytes:
    """RFC 9051 section 4.3 allows no NUL in it."""
    return b"{%d}\r\n%b" % (len(value), value.replace(b"\x00", b"\x80"))


def string(value: bytes) -> bytes:
    """As short as it can be told."""
    if _PLAIN.fullmatch(value):
        return b'"%b"' % value
    if _QUOTABLE.fullmatch(value) and value.count(b'"') + value.count(b"\\") <= _MOST_ESCAPES:
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    return literal(value)


def nstring(value: bytes | None) -> bytes:
    """NIL where there is none."""
    return b"NIL" if value is None else string(value)


def unfolded(value: bytes | None) -> bytes:
    """A field's value on one line. The white space that began a folded line stays, as it stands."""
    if value is not None and (b"\n" in value or b"\r" in value):
        value = _LINE_END.sub(b" ", _LOST_LINE_END.sub(b"", value))
    return nstring(value)


def for_people(value: bytes | None) -> bytes:
    """A text that people read: white space is squeezed, and what needs any care is a literal."""
    if value is None:
        return b"NIL"
    shown = _SPACES.sub(b" ", value).strip(b" ")
    if not shown:
        return b'""'
    if shown == value and _PLAIN.fullmatch(value):
        return b'"%b"' % value
    return literal(shown)
