"""Tokens of a command, read off its lines and literals at one position (RFC 9051 section 9). Pure.

Nothing is cut off the front and nothing is read twice, so time is linear in what was sent. Between tokens one space is
due and more are taken, as Dovecot has it; a list may have spaces inside its parentheses.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from services.store.imap.parse.errors import bad

T = TypeVar("T")

# The characters of an atom: CHAR but ( ) { SP CTL % * " \ ]
ATOM_CHARS = rb"!#$&'+-\[^-z|}~"
ATOM = re.compile(rb"[%s]+" % ATOM_CHARS)
ASTRING_CHARS = re.compile(rb"[%s\]]+" % ATOM_CHARS)
LIST_CHARS = re.compile(rb"[%s\]%%*]+" % ATOM_CHARS)
# A tag is an astring's characters without "+".
TAG = re.compile(rb"[!#$&',-\[\]^-z|}~]+(?= |\Z)")
SPACE = re.compile(rb" +")
END = re.compile(rb" *\Z")
OPEN = re.compile(rb"\( *")
CLOSE = re.compile(rb" *\)")
NUMBER = re.compile(rb"[0-9]+")
NIL = re.compile(rb"NIL(?![%s\]])" % ATOM_CHARS, re.IGNORECASE)
# Each way through is the only one, so what does not match fails in linear time.
QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_MARKER = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")

# RFC 9051 section 4.2 and RFC 7162 section 7: numbers go to 32 bits, sizes and mod-sequences to 63.
MOST_32 = 2**32 - 1
MOST_63 = 2**63 - 1
_DIGITS_63 = 19


class LiteralAhead(NamedTuple):
    """The marker at a line's end: a literal of so many octets follows. `is_synchronizing`: once it was asked for (RFC
    7888). `is_binary`: it is a literal8 (RFC 3516)."""

    octets: int
    is_synchronizing: bool
    is_binary: bool


def literal_of(line: bytes) -> LiteralAhead | None:
    """What follows a line, which may have its CRLF no more. Raises BadCommand, without a tag, where the number has
    over 63 bits."""
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{")
    if start < 0:
        return None
    marker = _MARKER.match(line, start - 1 if line[start - 1 : start] == b"~" else start)
    if marker is None:
        return None
    binary, octets, plus = marker.groups()
    return LiteralAhead(number_of(octets, MOST_63), not plus, bool(binary))


def number_of(digits: bytes, most: int = MOST_32) -> int:
    """Raises BadCommand where it is over `most`."""
    # Thousands of digits are refused before anybody counts them.
    if len(digits) > _DIGITS_63 or (value := int(digits)) > most:
        raise bad("The number is too large")
    return value


class Cursor:
    """A position in [line, literal, line, ..., line]; every line but the last ends in the marker of its literal.

    What is not there as expected raises BadCommand. `is_utf8`: names of mailboxes are UTF-8, not modified UTF-7.
    """

    __slots__ = ("_at", "_chunks", "_index", "_line", "is_utf8")

    def __init__(self, chunks: Sequence[bytes], is_utf8: bool) -> None:
        self._chunks = chunks
        self._index = 0
        self._line = chunks[0] if chunks else b""
        self._at = 0
        self.is_utf8 = is_utf8

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What matches here, and the position goes behind it; None, and it stays."""
        match = pattern.match(self._line, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def need(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """What must match here; `what` goes into the answer where it does not."""
        match = pattern.match(self._line, self._at)
        if match is None:
            raise bad(f"Expected {what}")
        self._at = match.end()
        return match

    def sees(self, octet: bytes) -> bool:
        """Whether this octet is next."""
        return self._line.startswith(octet, self._at)

    def space(self) -> None:
        if self.take(SPACE) is None:
            raise bad("Expected a space")

    def is_done(self) -> bool:
        """Whether nothing but spaces is left; where something is, the position stays before them."""
        return self._index == len(self._chunks) - 1 and self.take(END) is not None

    def end(self) -> None:
        if not self.is_done():
            raise bad("Expected the end of the command")

    def word(self, what: str) -> str:
        """An atom in capitals: a name out of a list that we know."""
        return self.need(ATOM, what).group().upper().decode("ascii")

    def number(self, most: int = MOST_32, least: int = 0) -> int:
        value = number_of(self.need(NUMBER, "a number").group(), most)
        if value < least:
            raise bad("The number is too small")
        return value

    def listed(self, read: Callable[["Cursor"], T]) -> list[T]:
        """A list in parentheses, which may be empty."""
        self.need(OPEN, "a list in parentheses")
        items: list[T] = []
        while self.take(CLOSE) is None:
            if items:
                self.space()
            items.append(read(self))
        return items

    def astring(self, plain: re.Pattern[bytes] = ASTRING_CHARS) -> bytes:
        """An astring; with `plain` LIST_CHARS, a list-mailbox."""
        match = self.take(plain)
        return self.string() if match is None else match.group()

    def string(self) -> bytes:
        """A quoted string or a literal, without NUL (RFC 9051 section 4.3)."""
        quoted = self.take(QUOTED)
        if quoted is not None:
            value = quoted.group(1)
            return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value
        value = self.literal()
        if b"\0" in value:
            raise bad("NUL in a string")
        return value

    def nstring(self) -> bytes | None:
        return None if self.take(NIL) else self.string()

    def text(self) -> str:
        """An astring that people wrote, in UTF-8."""
        try:
            return self.astring().decode()
        except UnicodeDecodeError:
            raise bad("The text is not UTF-8") from None

    def literal(self) -> bytes:
        """A literal or literal8, whose octets may be any."""
        marker = self.need(_MARKER, "a string")
        if self._index + 2 >= len(self._chunks):
            raise bad("The literal is missing")
        value = self._chunks[self._index + 1]
        if len(value) != number_of(marker.group(2), MOST_63):
            raise bad("The literal has another length")
        self._index += 2
        self._line = self._chunks[self._index]
        self._at = 0
        return value


class Head(NamedTuple):
    """How a command begins: enough to refuse it before it is read. `name` is in capitals, "" where there is none."""

    tag: str | None
    name: str


_NAME = re.compile(rb"[A-Za-z-]+")


def begin(cursor: Cursor) -> Head:
    """The tag and the name; the position is behind them."""
    tag = cursor.take(TAG)
    if tag is None:
        return Head(None, "")
    name = cursor.take(_NAME) if cursor.take(SPACE) else None
    return Head(tag.group().decode("ascii"), name.group().upper().decode("ascii") if name else "")


def head_of(line: bytes) -> Head:
    """Of a command's first line."""
    return begin(Cursor((line,), is_utf8=False))
