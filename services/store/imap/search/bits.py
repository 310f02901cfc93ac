"""Sets of letters as ints: bit n is the nth letter of a sheet. AND, OR and NOT of thousands are one step. Pure."""

from collections.abc import Iterable
from itertools import compress, count

_TO_DIGITS = bytes.maketrans(b"\x00\x01", b"01")
_TO_MARKS = bytes.maketrans(b"01", b"\x00\x01")


def everything(letters: int) -> int:
    """The set of that many letters."""
    return (1 << letters) - 1


def set_of(marks: Iterable[bool | int]) -> int:
    """The set of those whose mark is true, or 1."""
    digits = bytes(marks).translate(_TO_DIGITS)
    # Of base 2 the conversion is linear.
    return int(digits[::-1], 2) if digits else 0


def marks_of(letters: int) -> bytes:
    """A 1 for each letter that is in the set, a 0 for others; none behind the last."""
    return bin(letters)[:1:-1].encode("ascii").translate(_TO_MARKS)


def places_of(letters: int) -> list[int]:
    """Which bits are set, rising."""
    return list(compress(count(), marks_of(letters)))
