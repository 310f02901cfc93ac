"""Letters as they go over the wire, and as whoever reads them gets them back."""

import random

import pytest

from services.store.pop3 import dots
from services.store.pop3.dots import PIECE_OCTETS, dotted, end_of_top

TABLE = {
    b"": b".\r\n",
    b"a\r\n": b"a\r\n.\r\n",
    b"a": b"a\r\n.\r\n",
    b".": b"..\r\n.\r\n",
    b".\r\n": b"..\r\n.\r\n",
    b"..a\r\n.\r\n.b\r\n": b"...a\r\n..\r\n..b\r\n.\r\n",
    b"a.\r\nb\r\n": b"a.\r\nb\r\n.\r\n",
    b"a\n.\nb\n": b"a\r\n..\r\nb\r\n.\r\n",
    b"a\r.\r\n": b"a\r.\r\n.\r\n",
    b"a\r\r\n.": b"a\r\r\n..\r\n.\r\n",
    b"a\r": b"a\r\r\n.\r\n",
    b"\n": b"\r\n.\r\n",
    b"\0\xff\r\n": b"\0\xff\r\n.\r\n",
}

TOPS = [
    (b"A: b\r\n\r\none\r\ntwo\r\n", 0, b"A: b\r\n\r\n"),
    (b"A: b\r\n\r\none\r\ntwo\r\n", 1, b"A: b\r\n\r\none\r\n"),
    (b"A: b\r\n\r\none\r\ntwo\r\n", 2, b"A: b\r\n\r\none\r\ntwo\r\n"),
    (b"A: b\r\n\r\none\r\ntwo", 10**21, b"A: b\r\n\r\none\r\ntwo"),
    (b"A: b\r\n", 3, b"A: b\r\n"),
    (b"A: b", 0, b"A: b"),
    (b"\r\nbody\r\nmore\r\n", 1, b"\r\nbody\r\n"),
    (b"\nbody\nmore\n", 1, b"\nbody\n"),
    (b"A: b\n\none\ntwo\n", 1, b"A: b\n\none\n"),
    (b"A: b\r\n\none\r\n\r\ntwo\r\n", 1, b"A: b\r\n\none\r\n"),
    (b"", 5, b""),
]


@pytest.mark.parametrize("raw", TABLE, ids=repr)
def test_a_letter_goes_out_with_its_dots_doubled(raw: bytes) -> None:
    assert b"".join(dotted(raw)) == TABLE[raw]


@pytest.mark.parametrize(("raw", "lines", "top"), TOPS, ids=repr)
def test_the_top_is_the_header_and_so_many_lines(raw: bytes, lines: int, top: bytes) -> None:
    assert raw[: end_of_top(raw, lines)] == top


def test_where_a_letter_is_cut_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(3)
    for _ in range(3000):
        raw = b"".join(dice.choices([b"\r\n", b"\n", b"\r", b".", b"a", b"\r\n.", b"\r\n\r\n"], k=dice.randint(0, 30)))
        lines = dice.randint(0, 5)
        whole, top = b"".join(dotted(raw)), end_of_top(raw, lines)
        for size in (1, 2, 3, 7):
            monkeypatch.setattr(dots, "PIECE_OCTETS", size)
            assert b"".join(dotted(raw)) == whole
            assert end_of_top(raw, lines) == top
        monkeypatch.setattr(dots, "PIECE_OCTETS", PIECE_OCTETS)
        assert _read(whole) == _with_crlf(raw), raw
        assert whole.count(b"\r\n.\r\n") + whole.startswith(b".\r\n") == 1, "nothing in a letter ends it"


def test_a_large_letter_goes_in_pieces() -> None:
    raw = b".\r\n" * 1_000_000
    pieces = list(dotted(raw))
    assert max(map(len, pieces)) <= 2 * PIECE_OCTETS
    assert _read(b"".join(pieces)) == raw


def _read(sent: bytes) -> bytes:
    """As RFC 1939 section 3 has a client read it."""
    lines = sent.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-2])


def _with_crlf(raw: bytes) -> bytes:
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    return b"".join(line + b"\r\n" for line in (lines if lines[-1] else lines[:-1]))
