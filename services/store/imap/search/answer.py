"""What a search is answered with, and what it saves. Pure.

RFC 9051 section 7.3.4 and RFC 4731 for ESEARCH, RFC 3501 section 7.2.5 for SEARCH, RFC 7162 section 3.1.5 for
mod-sequences, RFC 5182 for SAVE.
"""

from array import array
from collections.abc import Iterator

from services.store.imap import format as wire
from services.store.imap.commands import Search
from services.store.imap.search.found import Found


def answer(tag: str, command: Search, found: Found, *, is_rev2: bool) -> bytes:
    """The untagged line with its CRLF; b"" where nothing but SAVE was asked for (RFC 5182 section 2.1).

    `is_rev2`: IMAP4rev2 is enabled, which knows no SEARCH answer.
    """
    if command.returning is None and not is_rev2:
        return _plain(found, is_uid=command.is_uid)
    returning = frozenset(("ALL",)) if command.returning is None else command.returning
    if returning == {"SAVE"}:
        return b""
    uid = b" UID" if command.is_uid else b""
    told = b"".join(_told(returning, found, is_uid=command.is_uid))
    return b"* ESEARCH (TAG %b)%b%b\r\n" % (wire.quoted(tag), uid, told)


def kept(command: Search, found: Found) -> "array[int]":
    """The UIDs that `$` means after a search with SAVE: of one with MIN or MAX that does not want all, too, only those
    ends (RFC 5182 section 2.4)."""
    return array("I", [found.uids[place] for place in _of_interest(command.returning or frozenset(), found)])


def _plain(found: Found, *, is_uid: bool) -> bytes:
    numbers = "".join([f" {number}" for number in (found.uids if is_uid else found.numbers)]).encode("ascii")
    modseq = b"" if found.modseq is None else b" (MODSEQ %d)" % found.modseq
    return b"* SEARCH%b%b\r\n" % (numbers, modseq)


def _told(returning: frozenset[str], found: Found, *, is_uid: bool) -> Iterator[bytes]:
    """Each with a space before it. Where nothing was found, only its count is told."""
    numbers = found.uids if is_uid else found.numbers
    if "MIN" in returning and numbers:
        yield b" MIN %d" % numbers[0]
    if "MAX" in returning and numbers:
        yield b" MAX %d" % numbers[-1]
    if "COUNT" in returning:
        yield b" COUNT %d" % len(numbers)
    if "ALL" in returning and numbers:
        yield b" ALL " + wire.numbers(numbers)
    if found.modseqs:
        yield b" MODSEQ %d" % max(found.modseqs[place] for place in _of_interest(returning, found))


def _of_interest(returning: frozenset[str], found: Found) -> range:
    """The places of the letters that the answer is about: the first, the last, both, or all (RFC 4731 section 3.2)."""
    count = len(found.uids)
    ends = returning & {"MIN", "MAX"}
    if returning & {"ALL", "COUNT"} or not ends or not count:
        return range(count)
    if len(ends) == 2:
        return range(0, count, max(1, count - 1))
    return range(1) if "MIN" in ends else range(count - 1, count)
