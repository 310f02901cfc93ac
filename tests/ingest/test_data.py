"""Where a letter ends and what is kept of it, whatever the client sends and however the network cuts it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.data import Fault, LetterReader

LIMIT = 1024 * 1024
HEADER = b"Received: here\r\n"


@dataclass(frozen=True)
class Outcome:
    """What the reader makes of a stream. `rest` None: the letter has not ended."""

    kept: bytes
    fault: Fault | None
    rest: bytes | None


def read(stream: Iterable[bytes], limit: int = LIMIT) -> Outcome:
    reader = LetterReader(limit)
    blocks = iter(stream)
    for block in blocks:
        rest = reader.feed(block)
        if rest is not None:
            kept = reader.hand_over(b"")
            return Outcome(kept, reader.fault, rest + b"".join(blocks))
    return Outcome(b"", reader.fault, None)


def slow_and_obvious(raw: bytes) -> Outcome:
    """The rules, line by line."""
    kept = bytearray()
    at = 0
    previous_ended_in_crlf = True
    while (end := raw.find(b"\n", at)) >= 0:
        line, at = raw[at:end], end + 1
        ended_in_crlf = line.endswith(b"\r")
        if ended_in_crlf:
            line = line[:-1]
        if line == b"." and previous_ended_in_crlf and ended_in_crlf:
            if b"\r.\r" in kept:
                return Outcome(b"", Fault.CR_DOT_CR, raw[at:])
            return Outcome(bytes(kept), None, raw[at:])
        if line.startswith(b".") and line != b".":
            line = line[1:]
        kept += line + b"\r\n"
        previous_ended_in_crlf = ended_in_crlf
    return Outcome(b"", None, None)


def in_pieces_of(size: int, raw: bytes) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..a\r\n.\r\n", b".a\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n...\r\n.\r\n", b"a\r\n..\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"no dot . at . begin\r\n.\r\n", b"no dot . at . begin\r\n"),
        # A bare LF is a line end, kept as CR LF.
        (b"a\nb\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a\n\n\nb\r\n.\r\n", b"a\r\n\r\n\r\nb\r\n"),
        (b"a\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
        (b"\na\r\n.\r\n", b"\r\na\r\n"),
        # None of these ends a letter.
        (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n"),
        (b"a\r\n\0.\r\nb\r\n.\r\n", b"a\r\n\0.\r\nb\r\n"),
        (b"a\r\n.\0\r\nb\r\n.\r\n", b"a\r\n\0\r\nb\r\n"),
        (b"a\r\n. \r\nb\r\n.\r\n", b"a\r\n \r\nb\r\n"),
        (b"a\n.\r\n.\r\n", b"a\r\n.\r\n"),
        # A bare CR and NUL are kept.
        (b"a\rb\r\n.\r\n", b"a\rb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\r\n"),
        (b"\r\r\r\n.\r\n", b"\r\r\r\n"),
        (b"a\0b\r\n.\r\n", b"a\0b\r\n"),
        (b"\r.a\r\n.\r\n", b"\r.a\r\n"),
        (b"\xff\xfe\x80\r\n.\r\n", b"\xff\xfe\x80\r\n"),
    ],
)
def test_kept_is_what_was_sent_but_for_dots_and_bare_line_feeds(sent: bytes, kept: bytes) -> None:
    behind = b"NOOP\r\n"
    for size in (len(sent) + len(behind), 1, 2, 3):
        assert read(in_pieces_of(size, sent + behind)) == Outcome(kept, None, behind)
    assert slow_and_obvious(sent + behind) == Outcome(kept, None, behind)


@pytest.mark.parametrize(
    "sent",
    [
        b"a\r.\rb\r\n.\r\n",
        b"a\r.\r\nb\r\n.\r\n",
        b"a\r.\nb\r\n.\r\n",
        b"\r.\r\r\n.\r\n",
        b"a\r.\r.\r\n.\r\n",
        b"a\r\r.\r\n.\r\n",
    ],
)
def test_a_dot_between_bare_crs_is_refused_at_the_end_of_the_letter(sent: bytes) -> None:
    for size in (len(sent), 1, 2, 3, 4):
        outcome = read(in_pieces_of(size, sent))
        assert outcome == Outcome(b"", Fault.CR_DOT_CR, b"")


@pytest.mark.parametrize(
    "sent", [b"a\n.\n", b"a\r.\r", b"a\r\n.\n", b"a\n.\r\n", b"a\r\n.\r", b"\n.\n", b".", b".\r", b".\n"]
)
def test_the_letter_goes_on(sent: bytes) -> None:
    assert read([sent]).rest is None
    assert read(in_pieces_of(1, sent)).rest is None


_PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"..",
        b"a",
        b"\0",
        b"\xff",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r.\r",
        b"\r\n.",
        b"Received: ",
    ]
)
_STREAMS = st.lists(_PIECES, max_size=40).map(b"".join)


@settings(max_examples=1000, deadline=None)
@given(raw=_STREAMS, cuts=st.lists(st.integers(1, 9), max_size=60))
@example(raw=b"x\r.\r.\r\n.\r\n", cuts=[3, 1])
@example(raw=b"\r\n.\r\n.\r\n", cuts=[1, 1, 1])
def test_the_cuts_make_no_difference(raw: bytes, cuts: list[int]) -> None:
    blocks, at = [], 0
    for cut in cuts:
        blocks.append(raw[at : at + cut])
        at += cut
    blocks.append(raw[at:])
    expected = slow_and_obvious(raw)
    found = read(blocks)
    if expected.rest is None:
        assert found.rest is None
    else:
        assert found == expected


@pytest.mark.parametrize("size", [1, 7, 4096, 10**9])
def test_a_letter_over_the_limit_is_read_to_its_end_and_not_kept(size: int) -> None:
    just = b"x" * 98 + b"\r\n"
    assert read(in_pieces_of(size, just + b".\r\nQUIT\r\n"), limit=100) == Outcome(just, None, b"QUIT\r\n")
    over = b"x" * 99 + b"\r\n"
    assert read(in_pieces_of(size, over + b".\r\nQUIT\r\n"), limit=100) == Outcome(b"", Fault.TOO_BIG, b"QUIT\r\n")


def test_the_limit_is_for_what_is_kept() -> None:
    stuffed = b"..\r\n" * 100
    assert read([stuffed + b".\r\n"], limit=300).fault is None
    bare = b"a\n" * 100
    assert read([bare + b"\r\n.\r\n"], limit=301).fault is Fault.TOO_BIG


def test_memory_is_given_back_once_a_letter_is_refused() -> None:
    reader = LetterReader(10 * LIMIT)
    reader.feed(b"x" * LIMIT)
    assert reader.size == LIMIT
    reader.refuse(Fault.OUT_OF_MEMORY)
    reader.feed(b"x" * LIMIT)
    assert reader.size == 0
    assert reader.feed(b"\r\n.\r\n") == b""
    assert reader.fault is Fault.OUT_OF_MEMORY


def test_the_header_goes_in_front() -> None:
    reader = LetterReader(LIMIT)
    reader.feed(b"Subject: a\r\n\r\nb\r\n.\r\n")
    assert reader.hand_over(HEADER) == HEADER + b"Subject: a\r\n\r\nb\r\n"
    assert reader.size == 0


@pytest.mark.parametrize(
    "line", [b"x" * 1_000_000, b".", b"..", b"\n", b"\r", b"x\r\n", b"\r\n..", b"\n.", b"a\n", b"\0"], ids=repr
)
@pytest.mark.parametrize("size", [1000, 64 * 1024])
def test_time_grows_as_the_letter_does(line: bytes, size: int) -> None:
    """Eight times the letter takes some eight times as long, not sixty-four."""

    def seconds(megabytes: int) -> float:
        raw = line * (megabytes * 1024 * 1024 // len(line)) + b"\r\n.\r\n"
        blocks = in_pieces_of(size, raw)
        began = time.process_time()
        assert read(blocks, limit=LIMIT * 64).rest == b""
        return time.process_time() - began

    small = min(seconds(1) for _ in range(3))
    assert seconds(8) < 30 * max(small, 0.002)


def test_single_bytes_are_not_slow() -> None:
    began = time.process_time()
    assert read(in_pieces_of(1, b"x\r\n" * 100_000 + b".\r\n")).rest == b""
    assert time.process_time() - began < 5
