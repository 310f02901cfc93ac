"""What an IMAP server said, as values: a reader of response data (RFC 9051 section 9) that knows no command.

NIL is None; a number is int; a quoted string or a literal is bytes; a list is a list; everything else is an `Atom`, be
it a flag, a system of brackets as in BODY[HEADER.FIELDS (TO)]<0>, or a set of numbers.
"""

import re
from typing import Union

Value = Union[None, int, bytes, "Atom", list["Value"]]

_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_NUMBER = re.compile(rb"\d+(?=[ ()\]]|$)")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
# An atom with whatever stands in brackets right behind it, which may have spaces, strings and parentheses.
_ATOM = re.compile(rb'[^ ()"\[\]{]+(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])?(?:<\d+>)?', re.DOTALL)


class Atom(str):
    """A word that is no string: `OK`, `\\Seen`, `BODY[1]<0>`, `1:5,7`. In the case that the server wrote it in."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Unreadable(Exception):
    """No response data as the grammar has it; the text says where it stops to be."""


class _Reader:
    """A position in response data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def values(self, closing: bytes = b"") -> list[Value]:
        """Everything up to the bracket `closing`, or to the end."""
        found: list[Value] = []
        while not self._ends(closing):
            found.append(self._value())
            if self._data[self._at : self._at + 1] == b" ":
                self._at += 1
        return found

    def _ends(self, closing: bytes) -> bool:
        if self._at >= len(self._data):
            if closing:
                raise Unreadable(f"a list is never closed: {self._data[-80:]!r}")
            return True
        if closing and self._data.startswith(closing, self._at):
            self._at += 1
            return True
        return False

    def _value(self) -> Value:
        if self._data.startswith(b"(", self._at):
            self._at += 1
            return self.values(b")")
        if found := self._take(_LITERAL):
            return self._octets(int(found[1]))
        if found := self._take(_QUOTED):
            return _ESCAPED.sub(rb"\1", found[1])
        if found := self._take(_NUMBER):
            return int(found[0])
        if found := self._take(_ATOM):
            word = found[0].decode("utf-8", "surrogateescape")
            return None if word.upper() == "NIL" else Atom(word)
        raise Unreadable(f"at {self._data[self._at : self._at + 80]!r} in {self._data[:200]!r}")

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        found = pattern.match(self._data, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _octets(self, count: int) -> bytes:
        octets = self._data[self._at : self._at + count]
        if len(octets) < count:
            raise Unreadable(f"a literal of {count} octets ends after {len(octets)}")
        self._at += count
        return octets


def read_values(data: bytes) -> list[Value]:
    """The values in a response's data, literals included.

    Raises:
        Unreadable: the server broke the grammar.
    """
    return _Reader(data).values()


def read_set(text: str) -> frozenset[int]:
    """The numbers of a set as servers write it: `1:3,7` (RFC 9051: no `*` comes from a server)."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))
        numbers.update(range(low, high + 1))
    return frozenset(numbers)
