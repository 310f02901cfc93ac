"""Sequence sets (RFC 9051 section 9, sequence-set), kept as the ranges that were written. Pure."""

import re

from services.store.imap.commands import STAR, Numbers
from services.store.imap.parse.errors import bad
from services.store.imap.parse.lexer import MOST_32, Cursor

_SET = re.compile(rb"[0-9*:,]+")
_SAVED = re.compile(rb"\$")
_DIGITS_32 = 10


def read_numbers(cursor: Cursor) -> Numbers:
    """A sequence set, or `$` for what the last SEARCH saved."""
    if cursor.take(_SAVED):
        return Numbers(is_saved=True)
    return Numbers(tuple(map(_range, cursor.need(_SET, "a sequence set").group().split(b","))))


def read_known(cursor: Cursor) -> Numbers:
    """A set in which every number is said: RFC 7162 section 7, known-uids."""
    numbers = read_numbers(cursor)
    if numbers.is_saved or any(STAR in pair for pair in numbers.ranges):
        raise bad("Expected numbers only")
    return numbers


def _range(text: bytes) -> tuple[int, int]:
    first, colon, last = text.partition(b":")
    start = _number(first)
    return start, _number(last) if colon else start


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    if not text.isdigit() or len(text) > _DIGITS_32 or not 0 < (number := int(text)) <= MOST_32:
        raise bad("Not a sequence set")
    return number
