"""Transfer encodings and charsets, and what SEARCH finds through them."""

import pytest

from services.store.mime.decoding import as_text, decoded
from services.store.mime.text import casemapped, contains

DECODED = [
    (b"a=3D=\r\nb", "quoted-printable", b"a=b"),
    (b"a  \r\nb=20\t\r\n", "quoted-printable", b"a\r\nb \r\n"),
    (b"=C3=bc=", "quoted-printable", b"\xc3\xbc"),
    (b"=ZZ=", "quoted-printable", b"=ZZ"),
    (b"aGVs\r\nbG8=\r\n", "base64", b"hello"),
    (b"aGVsbG8", "base64", b"hello"),
    (b"a!G*V s b?G8=", "base64", b"hello"),
    (b"aGVsbG8=aGVsbG8=", "base64", b"hello"),
    (b"a", "base64", b""),
    (b"", "base64", b""),
    (b"====", "base64", b""),
    (b"\x00\xff", "8bit", b"\x00\xff"),
    (b"\x00\xff", "binary", b"\x00\xff"),
    (b"hi", "x-uuencode", None),
    (b"hi", "", None),
]


@pytest.mark.parametrize(("body", "encoding", "content"), DECODED)
def test_a_transfer_encoding_is_undone(body: bytes, encoding: str, content: bytes | None) -> None:
    assert decoded(body, encoding) == content


TEXTS = [
    (b"\xc3\xbc", "utf-8", "ü"),
    (b"\xfc", "iso-8859-1", "ü"),
    (b"\x1b$B&A\x1b(B", "ISO-2022-JP", "\N{GREEK SMALL LETTER ALPHA}"),
    (b"\xc3\xbc", None, "ü"),
    (b"\xfc", None, "ü"),
    (b"\xfc", "us-ascii", "ü"),
    (b"\xfc", "x-unknown", "ü"),
    (b"\xff\xc3\xbc", "utf-8", "\ufffdü"),
    (b"hi", "zlib", "hi"),
    (b"hi", "undefined", "hi"),
    (b"hi", "idna", "hi"),
    (b"hi", "\x00", "hi"),
    (b"hi", "\xff" * 100, "hi"),
]


@pytest.mark.parametrize(("content", "charset", "text"), TEXTS)
def test_a_charset_is_read_and_an_unknown_one_guessed(content: bytes, charset: str | None, text: str) -> None:
    assert as_text(content, charset) == text


LETTER = (
    b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n =?iso-8859-1?q?_aus?=\r\n Wien\r\nX-Note: one\r\n two\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nU3RyYcOfZQ==\r\n--x\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nas it stands\r\n--x\r\n"
    b"Content-Type: application/pdf; name=report.pdf\r\n\r\nno text\r\n--x\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeep\r\n--x--\r\n"
)

FOUND = [
    ("strasse", True, True),
    ("STRASSE", True, True),
    ("as it stands", True, True),
    ("deep", True, True),
    ("preamble", False, False),
    ("no text", False, False),
    ("grüsse aus wien", False, True),
    ("one two", False, True),
    ("report.pdf", False, True),
    ("inner", False, True),
    ("U3RyYcOf", False, False),
]


@pytest.mark.parametrize(("needle", "in_body", "in_all"), FOUND)
def test_what_a_person_can_read_is_found(needle: str, in_body: bool, in_all: bool) -> None:
    assert contains(LETTER, casemapped(needle), in_headers=False) is in_body
    assert contains(LETTER, casemapped(needle), in_headers=True) is in_all
