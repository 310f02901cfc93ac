"""Literals: how many octets are announced, and that what was announced is what there is."""

import pytest

from services.store.imap.commands import Login
from services.store.imap.parse import BadCommand, Head, LiteralAhead, Parsed, head_of, literal_of, parse


@pytest.mark.parametrize(
    ("line", "ahead"),
    [
        (b"a LOGIN {11}", LiteralAhead(11, is_synchronizing=True, is_binary=False)),
        (b"a LOGIN {0+}", LiteralAhead(0, is_synchronizing=False, is_binary=False)),
        (b"a APPEND x ~{5}", LiteralAhead(5, is_synchronizing=True, is_binary=True)),
        (b"a APPEND x UTF8 (~{5+}", LiteralAhead(5, is_synchronizing=False, is_binary=True)),
        (b"{9223372036854775807}", LiteralAhead(2**63 - 1, is_synchronizing=True, is_binary=False)),
        (b"{1}{2}", LiteralAhead(2, is_synchronizing=True, is_binary=False)),
        (b"", None),
        (b"a NOOP", None),
        (b"}", None),
        (b"{}", None),
        (b"{1", None),
        (b"{1} ", None),
        (b"{-1}", None),
        (b"{+}", None),
        (b"{1++}", None),
        (b"{1-}", None),
        (b"{1a}", None),
        (b"{\xb2}", None),
        (b'"{1}"', None),
        (b"{" * 60_000 + b"}", None),
        (b"{1}" * 20_000 + b"x}", None),
    ],
)
def test_marker_at_a_lines_end_announces_a_literal(line: bytes, ahead: LiteralAhead | None) -> None:
    assert literal_of(line) == ahead


@pytest.mark.parametrize("digits", [b"9223372036854775808", b"99999999999999999999", b"9" * 60_000, b"0" * 60_000])
def test_number_over_63_bits_is_bad(digits: bytes) -> None:
    with pytest.raises(BadCommand):
        literal_of(b"a APPEND x {%b}" % digits)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"a LOGIN {3}"],
        [b"a LOGIN {3}", b"abc"],
        [b"a LOGIN {3}", b"ab", b" x"],
        [b"a LOGIN {3}", b"abcd", b" x"],
        [b"a LOGIN {3} ", b"abc", b" x"],
        [b"a LOGIN {03a}", b"abc", b" x"],
        [b"a LOGIN x y", b"abc", b""],
        [b'a LOGIN "{3}', b"abc", b'" x'],
        [b"a LOGIN {3}", b"abc", b" {3}"],
        [b"a NOOP {3}", b"abc", b""],
        [b"a NOOP", b"", b""],
        # A literal8 is for letters.
        [b"a LOGIN x ~{1}", b"a", b""],
    ],
)
def test_literal_where_none_was_announced_or_the_other_way_round_is_bad(chunks: list[bytes]) -> None:
    with pytest.raises(BadCommand) as bad:
        parse(chunks)
    assert bad.value.tag == "a"


def test_nothing_at_all_is_bad() -> None:
    with pytest.raises(BadCommand):
        parse([])


def test_literal_may_look_like_anything() -> None:
    assert parse([b"a LOGIN {6}", b'\r\n"({1', b" {1}", b")", b""]) == Parsed("a", Login('\r\n"({1', ")"))


@pytest.mark.parametrize(
    ("line", "head"),
    [
        (b"a1 append x {300}", Head("a1", "APPEND")),
        (b"a1 UID FETCH 1", Head("a1", "UID")),
        (b"a1", Head("a1", "")),
        (b"a1 {3}", Head("a1", "")),
        (b"", Head(None, "")),
        (b"* APPEND", Head(None, "")),
    ],
)
def test_begin_of_a_command_tells_what_it_will_be(line: bytes, head: Head) -> None:
    assert head_of(line) == head
