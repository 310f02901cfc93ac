"""Answers in octets: what stands in quotes, what goes as a literal, and that it is read back as it was."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.imap import format as written
from services.store.imap.commands import Fetch, Item, Section
from services.store.imap.parse import parse
from services.store.imap.parse.lexer import Cursor
from services.store.imap.parse.ranges import read_numbers
from tests.kit.imapcommands import cut


@pytest.mark.parametrize(
    ("raw", "octets"),
    [
        (b"", b'""'),
        (b"Pink Floyd", b'"Pink Floyd"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\nb", b"{3}\r\na\nb"),
        (b"\xc3\xa9", b"{2}\r\n\xc3\xa9"),
        # The length that was announced stays.
        (b"a\0b", b"{3}\r\na\x80b"),
        (b"NIL", b'"NIL"'),
        (None, b"NIL"),
    ],
)
def test_string_is_quoted_where_it_can_be(raw: bytes | None, octets: bytes) -> None:
    assert written.nstring(raw) == octets


def test_quotes_hold_utf8_only_where_it_was_enabled() -> None:
    assert written.quoted("é") == b"{2}\r\n\xc3\xa9"
    assert written.quoted("é", is_utf8=True) == b'"\xc3\xa9"'
    assert written.quoted("a\0b", is_utf8=True) == b'"a?b"'
    assert written.quoted("a\r\nb", is_utf8=True) == b"{4}\r\na\r\nb"


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("STORAGE", b"STORAGE"),
        ("<a@b>", b'"<a@b>"'),
        ("", b'""'),
        ("nil", b'"nil"'),
        ("nils", b"nils"),
        ("a b", b'"a b"'),
        ("a%", b'"a%"'),
        ("\ud800", b'"?"'),
    ],
)
def test_astring_is_bare_where_nobody_could_misread_it(text: str, octets: bytes) -> None:
    assert written.astring(text) == octets


@pytest.mark.parametrize(
    ("name", "utf7", "utf8"),
    [
        ("INBOX", b"INBOX", b"INBOX"),
        ("Sent Items", b'"Sent Items"', b'"Sent Items"'),
        ("Entwürfe/2026", b"Entw&APw-rfe/2026", b'"Entw\xc3\xbcrfe/2026"'),
        ("A&B", b"A&-B", b"A&B"),
        ("台北", b"&U,BTFw-", b'"\xe5\x8f\xb0\xe5\x8c\x97"'),
        ('a"b', b'"a\\"b"', b'"a\\"b"'),
    ],
)
def test_mailbox_is_in_utf7_until_the_client_asks_for_utf8(name: str, utf7: bytes, utf8: bytes) -> None:
    assert written.mailbox(name, is_utf8=False) == utf7
    assert written.mailbox(name, is_utf8=True) == utf8


def test_flags_stand_in_parentheses() -> None:
    assert written.flag_list(()) == b"()"
    assert written.flag_list(["\\Seen", "$Junk"]) == b"(\\Seen $Junk)"


@pytest.mark.parametrize(
    ("at", "octets"),
    [
        (datetime(2026, 11, 23, 17, 0, tzinfo=UTC), b'"23-Nov-2026 17:00:00 +0000"'),
        (datetime(1996, 7, 1, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))), b'" 1-Jul-1996 02:44:25 -0700"'),
        (datetime(900, 2, 9, tzinfo=timezone(timedelta(hours=5, minutes=45))), b'" 9-Feb-0900 00:00:00 +0545"'),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(minutes=-30))), b'" 1-Jan-2026 00:00:00 -0030"'),
    ],
)
def test_internal_date_has_a_padded_day_and_its_zone(at: datetime, octets: bytes) -> None:
    assert written.internal_date(at) == octets


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        written.internal_date(datetime(2026, 1, 1))  # noqa: DTZ001


def test_date_is_a_day_in_english() -> None:
    assert written.date_of(date(2026, 3, 1)) == b"1-Mar-2026"


@pytest.mark.parametrize(
    ("rising", "octets"),
    [((), b""), ((1,), b"1"), ((1, 2, 3, 5), b"1:3,5"), ((1, 3, 4), b"1,3:4"), (range(1, 10_001), b"1:10000")],
)
def test_neighbours_become_a_range(rising: Iterable[int], octets: bytes) -> None:
    assert written.numbers(rising) == octets
    assert written.numbers(iter(rising)) == octets


@given(st.sets(st.integers(1, 60) | st.integers(1, 2**32 - 1), min_size=1))
def test_numbers_are_read_back_as_they_were(numbers: set[int]) -> None:
    ranges = read_numbers(Cursor([written.numbers(sorted(numbers))], is_utf8=False)).ranges
    assert [number for first, last in ranges for number in range(first, last + 1)] == sorted(numbers)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.booleans())
def test_text_is_read_back_as_it_was(text: str, is_utf8: bool) -> None:
    for octets in (written.quoted(text, is_utf8), written.astring(text, is_utf8)):
        assert Cursor(cut(octets), is_utf8).text() == text


@pytest.mark.parametrize(
    ("asked", "octets"),
    [
        (Item("RFC822.SIZE"), b"RFC822.SIZE"),
        (Section(), b"BODY[]"),
        (Section((1, 2), "MIME", is_peek=True), b"BODY[1.2.MIME]"),
        (Section((), "TEXT", partial=(0, 100)), b"BODY[TEXT]<0>"),
        (Section((3,), what="BINARY.SIZE"), b"BINARY.SIZE[3]"),
        (Section((), "HEADER.FIELDS", ("From", 'X-"')), b'BODY[HEADER.FIELDS (From "X-\\"")]'),
    ],
)
def test_item_is_answered_under_the_name_it_was_asked_for(asked: Item | Section, octets: bytes) -> None:
    assert written.item_name(asked) == octets


def test_name_of_an_item_is_itself_an_item() -> None:
    asked = Section((1,), "HEADER.FIELDS.NOT", ("From", "To"))
    command = parse([b"a FETCH 1 " + written.item_name(asked)]).command
    assert isinstance(command, Fetch)
    assert command.items == (asked,)
