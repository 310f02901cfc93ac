"""SEARCH: every key, how they combine, and that their depth and number are bounded."""

from datetime import date

import pytest

from services.store.imap.commands import (
    All,
    AllOf,
    ChangedSince,
    Dated,
    Either,
    HasFlag,
    HasHeader,
    HasId,
    HasText,
    InNumbers,
    Key,
    Not,
    Numbers,
    Search,
    Sized,
    Younger,
)
from services.store.imap.parse.keys import MOST_DEPTH, MOST_KEYS
from tests.store.imap.parse.reading import answer, numbers, read

DAY = date(1994, 2, 1)
SEEN, DELETED, FLAGGED = HasFlag("\\Seen"), HasFlag("\\Deleted"), HasFlag("\\Flagged")


def _key(text: bytes) -> Key:
    command = read(b"SEARCH " + text)
    assert isinstance(command, Search)
    return command.key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", All()),
        (b"answered", HasFlag("\\Answered")),
        (b"DELETED", DELETED),
        (b"DRAFT", HasFlag("\\Draft")),
        (b"FLAGGED", FLAGGED),
        (b"SEEN", SEEN),
        (b"RECENT", HasFlag("\\Recent")),
        (b"UNANSWERED", Not(HasFlag("\\Answered"))),
        (b"UNDELETED", Not(DELETED)),
        (b"UNDRAFT", Not(HasFlag("\\Draft"))),
        (b"UNFLAGGED", Not(FLAGGED)),
        (b"UNSEEN", Not(SEEN)),
        (b"NEW", AllOf((HasFlag("\\Recent"), Not(SEEN)))),
        (b"OLD", Not(HasFlag("\\Recent"))),
        (b"KEYWORD $Junk", HasFlag("$Junk")),
        (b"UNKEYWORD NonJunk", Not(HasFlag("NonJunk"))),
        (b"BCC a", HasHeader("Bcc", "a")),
        (b"CC a", HasHeader("Cc", "a")),
        (b'FROM "Smith"', HasHeader("From", "Smith")),
        (b"SUBJECT {7}\r\na\r\nb\xc3\xa9 ", HasHeader("Subject", "a\r\nbé ")),
        (b'TO ""', HasHeader("To", "")),
        (b'HEADER Message-ID ""', HasHeader("Message-ID", "")),
        (b'HEADER "List-Id" x]y', HasHeader("List-Id", "x]y")),
        (b"BODY x", HasText("x", in_headers=False)),
        (b'TEXT "caf\xc3\xa9"', HasText("café", in_headers=True)),
        (b"BEFORE 1-Feb-1994", Dated("before", DAY, is_sent=False)),
        (b'ON "01-FEB-1994"', Dated("on", DAY, is_sent=False)),
        (b"SINCE 01-Feb-1994", Dated("since", DAY, is_sent=False)),
        (b"SENTBEFORE 1-Feb-1994", Dated("before", DAY, is_sent=True)),
        (b"SENTON 1-Feb-1994", Dated("on", DAY, is_sent=True)),
        (b"SENTSINCE 1-feb-1994", Dated("since", DAY, is_sent=True)),
        # As far as days go, with one to spare on each side.
        (b"SINCE 1-Jan-0001", Dated("since", date(2, 1, 1), is_sent=False)),
        (b"BEFORE 31-Dec-9999", Dated("before", date(9998, 12, 31), is_sent=False)),
        (b"LARGER 9223372036854775807", Sized("larger", 2**63 - 1)),
        (b"SMALLER 0", Sized("smaller", 0)),
        (b"YOUNGER 259200", Younger(259200)),
        (b"OLDER 60", Not(Younger(60))),
        (b"1,3:*", InNumbers(numbers(1, (3, 0)), is_uid=False)),
        (b"*", InNumbers(numbers(0), is_uid=False)),
        (b"$", InNumbers(Numbers(is_saved=True), is_uid=False)),
        (b"UID 7", InNumbers(numbers(7), is_uid=True)),
        (b"UID $", InNumbers(Numbers(is_saved=True), is_uid=True)),
        (b"MODSEQ 620162338", ChangedSince(620162338)),
        (b'MODSEQ "/flags/\\\\draft" all 620162338', ChangedSince(620162338)),
        (b"EMAILID M6d99ac3275bb4e", HasId("email", "M6d99ac3275bb4e")),
        (b"THREADID T64b478a75b7ea9", HasId("thread", "T64b478a75b7ea9")),
        (b"NOT SEEN", Not(SEEN)),
        (b"NOT (SEEN DELETED)", Not(AllOf((SEEN, DELETED)))),
        (b"(SEEN)", SEEN),
        (b"( SEEN  DELETED ) FLAGGED", AllOf((AllOf((SEEN, DELETED)), FLAGGED))),
        (b"OR SEEN DELETED", Either(SEEN, DELETED)),
        (b"OR SEEN DELETED FLAGGED", AllOf((Either(SEEN, DELETED), FLAGGED))),
        (b"OR SEEN OR DELETED FLAGGED", Either(Either(SEEN, DELETED), FLAGGED)),
        (b"OR OR SEEN DELETED FLAGGED", Either(Either(SEEN, DELETED), FLAGGED)),
        (b"OR NOT SEEN (DELETED FLAGGED)", Either(Not(SEEN), AllOf((DELETED, FLAGGED)))),
        (b"NOT OR SEEN NOT DELETED", Not(Either(SEEN, Not(DELETED)))),
    ],
)  # fmt: skip
def test_key_is_understood(text: bytes, key: Key) -> None:
    assert _key(text) == key


@pytest.mark.parametrize(
    ("wire", "search"),
    [
        (b"SEARCH ALL", Search(All())),
        (b"UID SEARCH ALL", Search(All(), is_uid=True)),
        (b"SEARCH RETURN () ALL", Search(All(), returning=frozenset({"ALL"}))),
        (b"SEARCH return (min COUNT) ALL", Search(All(), returning=frozenset({"MIN", "COUNT"}))),
        (b"UID SEARCH RETURN (SAVE) ALL", Search(All(), True, frozenset({"SAVE"}))),
        (b"SEARCH CHARSET UTF-8 ALL", Search(All())),
        (b'SEARCH RETURN (MAX) CHARSET "us-ascii" ALL', Search(All(), returning=frozenset({"MAX"}))),
        (
            b'A SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"'[2:],
            Search(AllOf((FLAGGED, Dated("since", DAY, is_sent=False), Not(HasHeader("From", "Smith"))))),
        ),
    ],
)
def test_search_is_understood(wire: bytes, search: Search) -> None:
    assert read(wire) == search


@pytest.mark.parametrize(
    "text",
    [
        b"", b"FROB", b"ALL FROB", b"ALLSEEN", b"ALL,SEEN", b"()", b"(SEEN", b"SEEN)", b"(SEEN))", b"NOT", b"NOT ",
        b"OR", b"OR SEEN", b"OR (SEEN DELETED)", b"FROM", b"HEADER x", b"KEYWORD", b"KEYWORD \\Seen", b"KEYWORD a b",
        b"BEFORE x", b"BEFORE 31-Feb-1994", b"BEFORE 1-Foo-1994", b"BEFORE 1-Feb-94", b"BEFORE 1-Feb-19945",
        b'BEFORE "1-Feb-1994', b"BEFORE 0-Feb-1994", b"LARGER", b"LARGER -1", b"LARGER 9223372036854775808",
        b"YOUNGER 0", b"YOUNGER 4294967296", b"0", b"1:", b"UID", b"UID ALL", b"MODSEQ", b'MODSEQ "x" 1',
        b'MODSEQ "x" some 1', b"MODSEQ x all 1", b"EMAILID", b"RETURN ALL", b"RETURN (FROB) ALL", b"RETURN ()",
        b"RETURN (ALL", b"CHARSET", b"CHARSET UTF-8", b"ALL CHARSET UTF-8", b'TEXT "\xff"', b"TEXT {1}\r\n\0",
        b"TEXT {2}\r\n\xed\xa0", b"TEXT \xc3\xa9", b"FUZZY ALL", b"SEEN  )", b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_search_is_bad(text: bytes) -> None:
    assert answer(b"SEARCH " + text) == "BAD"


@pytest.mark.parametrize("charset", [b"KOI8-R", b'"latin-1"', b"UTF-7", b'""', b"{3}\r\n\xff\xfe\xfd"])
def test_unknown_charset_is_answered_with_those_that_are_known(charset: bytes) -> None:
    assert answer(b"SEARCH CHARSET %b TEXT x" % charset) == "NO [BADCHARSET (US-ASCII UTF-8)]"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [(b"NOT ", b""), (b"(", b")"), (b"(NOT ", b")"), (b"OR SEEN NOT ", b""), (b"OR ", b" SEEN"), (b"(SEEN ", b")")],
)
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    _key(opening * (MOST_DEPTH // 2) + b"ALL" + closing * (MOST_DEPTH // 2))
    for depth in (MOST_DEPTH + 1, 1000, 30_000):
        assert answer(b"SEARCH " + opening * depth + b"ALL" + closing * depth) == "NO [LIMIT]"
        assert answer(b"SEARCH " + opening * depth) in ("NO [LIMIT]", "BAD")


def test_depths_of_chains_inside_each_other_add_up() -> None:
    chain = b"OR SEEN " * 200
    inner = b"ALL"
    for _ in range(MOST_DEPTH // 2):
        inner = b"%bNOT %b" % (chain, inner)
    assert answer(b"SEARCH " + inner) == "NO [LIMIT]"


def _depth(key: Key) -> int:
    if isinstance(key, Either):
        return 1 + max(_depth(key.left), _depth(key.right))
    return 0


def _leaves(key: Key) -> list[Key]:
    return [*_leaves(key.left), *_leaves(key.right)] if isinstance(key, Either) else [key]


@pytest.mark.parametrize("length", [2, 3, 4, 5, 7, 8, 9, 1000, MOST_KEYS - 1])
def test_long_chain_of_or_is_balanced_and_keeps_its_order(length: int) -> None:
    key = _key(b"".join(b"OR %d " % number for number in range(1, length)) + b"%d" % length)
    assert _leaves(key) == [InNumbers(numbers(number), is_uid=False) for number in range(1, length + 1)]
    assert _depth(key) <= (length - 1).bit_length()


def test_number_of_keys_is_bounded() -> None:
    key = _key(b" ".join([b"SEEN"] * MOST_KEYS))
    assert isinstance(key, AllOf)
    assert len(key.keys) == MOST_KEYS
    assert answer(b"SEARCH " + b" ".join([b"SEEN"] * (MOST_KEYS + 1))) == "NO [LIMIT]"
