"""Names of mailboxes: two spellings are one name or none, and no name holds what would harm."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.store.imap import format as written
from services.store.imap.parse.errors import Refused
from services.store.imap.parse.lexer import Cursor
from services.store.imap.parse.names import MOST_LEVELS, MOST_OCTETS, name_of, read_mailbox
from services.store.imap.parse.utf7 import decode_utf7, encode_utf7
from tests.kit.imapcommands import cut


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("", b""),
        ("INBOX", b"INBOX"),
        ("A&B", b"A&-B"),
        ("&&", b"&-&-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        # RFC 3501 section 5.1.3.
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("☺", b"&Jjo-"),
        ("😀", b"&2D3eAA-"),
        ("é&é", b"&AOk-&-&AOk-"),
    ],
)
def test_modified_utf7_is_as_in_the_rfc(text: str, raw: bytes) -> None:
    assert encode_utf7(text) == raw
    assert decode_utf7(raw) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back_from_modified_utf7(text: str) -> None:
    assert decode_utf7(encode_utf7(text)) == text


@given(st.binary() | st.from_regex(rb"[a-c&,+A-D-]*", fullmatch=True))
def test_there_is_one_spelling_or_an_error(raw: bytes) -> None:
    try:
        text = decode_utf7(raw)
    except ValueError:
        return
    assert encode_utf7(text) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"a&b",
        b"&",
        b"&AOk",
        # What is printed as itself is not shifted, and one shift does not follow another.
        b"&AGE-",
        b"&U,BTFw-&ZeVnLIqe-",
        b"&AOl-",
        b"&2D0-",
        b"&AO-",
        b"&A-",
        b"&/+0-",
        b"&AOk=-",
        b"&ACY-",
    ],
)
def test_another_spelling_is_no_name(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        name_of(raw, is_utf8=False)
    assert refused.value.code == "CANNOT"


@pytest.mark.parametrize("raw", [b"inbox", b"InBox", b"INBOX"])
def test_inbox_is_one_however_it_is_typed(raw: bytes) -> None:
    assert name_of(raw, is_utf8=False) == "INBOX"
    assert name_of(raw + b"/Sub", is_utf8=False) == "INBOX/Sub"
    assert name_of(raw + b"es", is_utf8=False) == raw.decode() + "es"
    assert name_of(b"x/" + raw, is_utf8=False) == "x/" + raw.decode()


def test_name_that_looks_like_inbox_is_another() -> None:
    # Dotless and dotted i, and a ligature: no ASCII, so not INBOX.
    assert name_of("ınbox".encode(), is_utf8=True) == "ınbox"
    assert name_of("İnbox".encode(), is_utf8=True) == "İnbox"


@pytest.mark.parametrize("is_utf8", [False, True])
def test_utf8_is_understood_before_it_is_enabled(is_utf8: bool) -> None:
    assert name_of("Entwürfe".encode(), is_utf8) == "Entwürfe"


def test_modified_utf7_is_plain_text_once_utf8_is_enabled() -> None:
    assert name_of(b"Entw&APw-rfe", is_utf8=True) == "Entw&APw-rfe"
    assert name_of(b"Entw&APw-rfe", is_utf8=False) == "Entwürfe"
    assert name_of(b"a&b", is_utf8=True) == "a&b"


def test_composed_and_decomposed_are_one_name() -> None:
    decomposed = unicodedata.normalize("NFD", "Entwürfe")
    assert name_of(decomposed.encode(), is_utf8=True) == "Entwürfe"
    assert name_of(encode_utf7(decomposed), is_utf8=False) == "Entwürfe"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"/",
        b"/a",
        b"a/",
        b"a//b",
        b"a\tb",
        b"a\r\nb",
        b"\x7f",
        "\x85".encode(),
        "a\u2028b".encode(),
        b"\xff",
        b"\xed\xa0\x80",
        b"a" * (MOST_OCTETS + 1),
        "é".encode() * (MOST_OCTETS // 2 + 1),
        b"a" * 1_000_000,
        b"a/" * MOST_LEVELS + b"a",
    ],
)
@pytest.mark.parametrize("is_utf8", [False, True])
def test_name_that_no_mailbox_can_have_is_refused(raw: bytes, is_utf8: bool) -> None:
    with pytest.raises(Refused) as refused:
        name_of(raw, is_utf8)
    assert refused.value.code == "CANNOT"


def test_control_character_in_modified_utf7_is_refused() -> None:
    with pytest.raises(Refused):
        name_of(b"&AAA-", is_utf8=False)


def test_longest_and_deepest_names_are_good() -> None:
    assert name_of(b"a" * MOST_OCTETS, is_utf8=False)
    assert name_of(encode_utf7("é-" * (MOST_OCTETS // 3)), is_utf8=False)
    assert name_of(b"/".join([b"a"] * MOST_LEVELS), is_utf8=False)


@given(st.text(), st.booleans())
def test_mailbox_is_read_back_as_it_was_written(text: str, is_utf8: bool) -> None:
    try:
        name = name_of(text.encode("utf-8", "replace"), is_utf8=True)
    except Refused:
        assume(False)
    assert read_mailbox(Cursor(cut(written.mailbox(name, is_utf8)), is_utf8)) == name
