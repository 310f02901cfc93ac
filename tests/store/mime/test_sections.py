"""Which octets BODY[...] and BINARY[...] stand for."""

import pytest

from services.store.mime.fields import header_fields
from services.store.mime.rendering import Rendering, bare, render
from services.store.mime.sections import (
    UnknownEncoding,
    as_literal,
    binary,
    from_header,
    is_in_header,
    section,
    span,
)

HEADER = b"From: ann@x.test\r\nSubject: a\r\n b\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n"
NESTED_HEADER = b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
NESTED_TEXT = b"--in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n--in--\r\n"
# RFC 9051 section 6.4.5.1's example in small.
LETTER = (
    HEADER
    + b"preamble\r\n--out\r\nX-First: 1\r\n\r\nfirst\r\n\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n"
    + NESTED_HEADER
    + NESTED_TEXT
    + b"\r\n--out\r\nContent-Transfer-Encoding: BASE64\r\n\r\nw7w=\r\n--out--\r\nepilogue\r\n"
)
TEXT = LETTER[len(HEADER) :]

SECTIONS: list[tuple[tuple[int, ...], str, bytes | None]] = [
    ((), "", LETTER),
    ((), "HEADER", HEADER),
    ((), "TEXT", TEXT),
    ((), "MIME", None),
    ((1,), "", b"first\r\n"),
    ((1,), "MIME", b"X-First: 1\r\n\r\n"),
    ((1,), "TEXT", None),
    ((1,), "HEADER", None),
    ((1, 1), "", None),
    ((2,), "", NESTED_HEADER + NESTED_TEXT),
    ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
    ((2,), "HEADER", NESTED_HEADER),
    ((2,), "TEXT", NESTED_TEXT),
    ((2, 1), "", b"plain"),
    ((2, 1), "MIME", b"\r\n"),
    ((2, 2), "", b"<p>"),
    ((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n"),
    ((2, 3), "", None),
    ((3,), "", b"w7w="),
    ((4,), "", None),
]


@pytest.mark.parametrize(("path", "text", "octets"), SECTIONS)
def test_a_section_is_what_the_letter_has_there(path: tuple[int, ...], text: str, octets: bytes | None) -> None:
    assert section(render(LETTER), LETTER, path, text) == octets


def test_a_letter_without_parts_is_its_own_part_1() -> None:
    raw = b"Subject: x\r\n\r\nhi\r\n"
    rendering = render(raw)
    assert section(rendering, raw, (1,)) == b"hi\r\n"
    assert section(rendering, raw, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(rendering, raw, (2,)) is None
    assert section(rendering, raw, (1, 1)) is None


def test_a_letter_in_a_letter_is_numbered_within_it() -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhi\r\n"
    rendering = render(raw)
    assert section(rendering, raw, (1,)) == b"Subject: in\r\n\r\nhi\r\n"
    assert section(rendering, raw, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(rendering, raw, (1, 1)) == b"hi\r\n"
    assert section(rendering, raw, (1, 1), "MIME") == b"Subject: in\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "header", "text"),
    [
        (b"Subject: x\r\n", b"Subject: x\r\n", b""),
        (b"\r\nhi\r\n", b"\r\n", b"hi\r\n"),
        (b"", b"", b""),
        (b"Subject: x\n\nhi\n", b"Subject: x\n\n", b"hi\n"),
        (b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\n", b""),
    ],
)
def test_header_and_text_are_parted_by_the_first_empty_line(raw: bytes, header: bytes, text: bytes) -> None:
    rendering = render(raw)
    assert (rendering.header, rendering.header_octets, rendering.size) == (header, len(header), len(raw))
    assert section(rendering, raw, (), "HEADER") == header
    assert section(rendering, raw, (), "TEXT") == text


FIELDS = b"To: a\r\nSubject: x\r\n\ty\r\nTO : b\r\n folded\r\nToo: c\r\nX: d\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "names", "keep", "kept"),
    [
        (FIELDS, {b"to"}, True, b"To: a\r\nTO : b\r\n folded\r\n\r\n"),
        (FIELDS, {b"to"}, False, b"Subject: x\r\n\ty\r\nToo: c\r\nX: d\r\n\r\n"),
        (FIELDS, {b"SUBJECT", b"x"}, True, b"Subject: x\r\n\ty\r\nX: d\r\n\r\n"),
        (FIELDS, {b"none"}, True, b"\r\n"),
        (FIELDS, {b"none"}, False, FIELDS),
        (FIELDS, {b"t."}, True, b"\r\n"),
        (b"To: a", {b"to"}, True, b"To: a\r\n\r\n"),
        (b"X: a", {b"to"}, False, b"X: a\r\n\r\n"),
        (b"", {b"to"}, True, b"\r\n"),
        (b"", {b"to"}, False, b"\r\n"),
        (b"\r\n", {b"to"}, False, b"\r\n"),
        (b"no field\r\nTo: a\r\n\r\n", {b"to"}, True, b"To: a\r\n\r\n"),
    ],
)
def test_fields_are_chosen_as_they_stand(header: bytes, names: set[bytes], keep: bool, kept: bytes) -> None:
    assert header_fields(header, frozenset(names), keep) == kept


def test_what_is_in_the_header_needs_no_body() -> None:
    rendering = render(LETTER)
    assert is_in_header(rendering, (), "HEADER.FIELDS")
    assert not is_in_header(rendering, (2,), "HEADER")
    assert not is_in_header(rendering, (), "TEXT")
    assert from_header(rendering, "HEADER") == HEADER
    assert from_header(rendering, "HEADER.FIELDS", ("FROM",)) == b"From: ann@x.test\r\n\r\n"
    assert section(rendering, LETTER, (2,), "HEADER.FIELDS", ("Subject",)) == b"Subject: inner\r\n\r\n"


def test_a_long_header_is_cut_where_it_is_kept_and_whole_where_it_is_read() -> None:
    raw = b"X: " + b"x" * 200_000 + b"\r\nSubject: late\r\n\r\nhi\r\n"
    rendering = render(raw)
    assert len(rendering.header) == 100 * 1024
    assert not rendering.header_is_whole
    assert not is_in_header(rendering, (), "HEADER")
    assert section(rendering, raw, (), "HEADER.FIELDS", ("subject",)) == b"Subject: late\r\n\r\n"


def test_binary_is_without_the_transfer_encoding() -> None:
    rendering = render(LETTER)
    assert binary(rendering, LETTER, (3,)) == b"\xc3\xbc"
    assert binary(rendering, LETTER, (1,)) == b"first\r\n"
    assert binary(rendering, LETTER, ()) == LETTER
    assert binary(rendering, LETTER, (4,)) is None


def test_binary_of_an_unknown_encoding_is_refused() -> None:
    raw = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nhi\r\n"
    with pytest.raises(UnknownEncoding):
        binary(render(raw), raw, (1,))


def test_a_literal_has_no_nul() -> None:
    assert as_literal(b"a\x00b") == b"a\x80b"


def test_a_bare_rendering_still_has_all_octets() -> None:
    rendering: Rendering = bare(LETTER)
    assert span(rendering, ()) == (0, len(LETTER))
    assert section(rendering, LETTER, (1,)) == TEXT
    assert from_header(rendering, "HEADER") == HEADER
    assert rendering.envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert rendering.bodystructure == (
        b'("application" "octet-stream" NIL NIL NIL "7bit" %d NIL NIL NIL NIL)' % len(TEXT)
    )
