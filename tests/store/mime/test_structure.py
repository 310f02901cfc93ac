"""BODY and BODYSTRUCTURE: which parts a letter has, and what is told of each."""

import pytest

from services.store.mime.rendering import render

PLAIN = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d NIL NIL NIL NIL)'


def structure(raw: bytes) -> bytes:
    return render(raw).bodystructure


def multipart(*lines: bytes, boundary: bytes = b"x", subtype: bytes = b"mixed") -> bytes:
    header = b"Content-Type: multipart/%b; boundary=%b\r\n\r\n" % (subtype, boundary)
    return header + b"\r\n".join(lines)


def test_a_letter_without_mime_is_plain_text() -> None:
    raw = b"Subject: x\r\n\r\none\r\ntwo\r\n"
    assert structure(raw) == PLAIN % (10, 2)
    assert render(raw).body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2)'


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"Subject: x", b"Subject: x\r\n", b"Subject: x\r\n\r\n"])
def test_a_letter_without_a_body_has_an_empty_text(raw: bytes) -> None:
    assert structure(raw) == PLAIN % (0, 0)


def test_content_fields_of_a_letter_that_is_not_mime_mean_nothing() -> None:
    assert structure(b"Content-Transfer-Encoding: base64\r\nContent-ID: <x>\r\n\r\nhi\r\n") == PLAIN % (4, 1)


def test_all_that_a_part_says_is_told() -> None:
    raw = (
        b'Content-Type: IMAGE/png; name="a b.png"; x=y\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: <i@x>\r\n'
        b"Content-Description: a\r\n picture\r\nContent-MD5: Q2hl\r\nContent-Language: en, de\r\n"
        b"Content-Location: http://x.test/\r\nContent-Disposition: attachment; filename=a.png\r\n\r\nAAAA\r\n"
    )
    assert structure(raw) == (
        b'("IMAGE" "png" ("name" "a b.png" "x" "y") "<i@x>" "a picture" "BASE64" 6 "Q2hl" '
        b'("attachment" ("filename" "a.png")) ("en" "de") "http://x.test/")'
    )


PARAMETERS = [
    (b"", b'("charset" "us-ascii")'),
    (b"; charset=utf-8", b'("charset" "utf-8")'),
    (b"; format=flowed", b'("format" "flowed" "charset" "us-ascii")'),
    (b';\r\n\tcharset="utf-8";', b'("charset" "utf-8")'),
    (b"; charset=(c) utf-8 (c)", b'("charset" "utf-8")'),
    (b'; charset="a\\"b\\\\"', b'("charset" "a\\"b\\\\")'),
    # RFC 2231 sections 3 and 4.1.
    (b"; url*0=ftp://; url*1=cs.test; charset=x", b'("charset" "x" "url" "ftpcs.test")'),
    (b'; url*0="ftp://"; url*1=cs.test; charset=x', b'("charset" "x" "url" "ftp://cs.test")'),
    (b'; url*1="b"; url*0="a"; charset=x', b'("charset" "x" "url" "ab")'),
    (b"; charset=x; t*=us-ascii'en'%41", b'("charset" "x" "t*" "us-ascii\'en\'%41")'),
    (
        b"; charset=x; t*0*=us-ascii'en'This%20is; t*1=100%; t*2*=%2A",
        b'("charset" "x" "t*" "us-ascii\'en\'This%20is100%25%2A")',
    ),
    (b"; charset=x; t*0=a; t*2=c", b'("charset" "x" "t*0" "a" "t*2" "c")'),
    (b"; charset==?utf-8?q?x?=", b'("charset" "=?utf-8?q?x?=")'),
    (b"; broken; charset=x", b'("charset" "us-ascii")'),
    (b"; (", b'("charset" "us-ascii")'),
]


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS)
def test_parameters_are_told_in_order_and_continuations_joined(parameters: bytes, told: bytes) -> None:
    raw = b"Content-Type: text/plain" + parameters + b"\r\n\r\nhi\r\n"
    assert structure(raw) == b'("text" "plain" ' + told + b' NIL NIL "7bit" 4 1 NIL NIL NIL NIL)'


@pytest.mark.parametrize(
    "value", [b"", b"text", b"text/", b"/plain", b"text plain", b"text/plain x", b"(", b'"text/x"']
)
def test_what_is_no_media_type_is_plain_text(value: bytes) -> None:
    assert structure(b"MIME-Version: 1.0\r\nContent-Type: " + value + b"\r\n\r\nhi\r\n") == PLAIN % (4, 1)


def test_a_multipart_is_told_with_its_parts() -> None:
    raw = multipart(
        b"preamble", b"--x", b"", b"one", b"--x", b"Content-Type: text/html", b"", b"two", b"--x--", b"after"
    )
    assert structure(raw) == (
        b"("
        + PLAIN % (3, 0)
        + b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)'
        + b' "mixed" ("boundary" "x") NIL NIL NIL)'
    )


def parts(raw: bytes) -> dict[str, bytes]:
    return {path: raw[place.body_start : place.end] for path, place in render(raw).parts.items()}


BOUNDARIES = [
    # A missing end: what is open goes to the letter's end.
    (multipart(b"--x", b"", b"one", b"--x", b"", b"two", b""), {"1": b"one", "2": b"two\r\n"}),
    # Behind the end is the epilogue, boundary or not.
    (multipart(b"--x", b"", b"one", b"--x--", b"--x", b"", b"no", b""), {"1": b"one"}),
    # White space, and whatever else, behind a boundary.
    (multipart(b"--x  ", b"", b"one", b"--x-- more"), {"1": b"one"}),
    # Parts without anything.
    (multipart(b"--x", b"--x", b"", b"--x--"), {"1": b"", "2": b""}),
    (multipart(b"--x", b"", b"", b"one", b"", b"--x--"), {"1": b"\r\none\r\n"}),
    # A header that a boundary cuts short.
    (multipart(b"--x", b"Content-Type: text/html", b"--x--"), {"1": b""}),
    (multipart(b"not at the start --x", b"- --x", b" --x"), {}),
    (multipart(b"--x", b"", b"one"), {"1": b"one"}),
    (multipart(b"--x"), {}),
    (multipart(b"--x", b""), {"1": b""}),
    (multipart(b'--a b:"c', b"", b"one", b'--a b:"c--', boundary=b'"a b:\\"c"'), {"1": b"one"}),
    (multipart(b"--" + b"y" * 80 + b"z", b"", b"one", boundary=b"y" * 120), {"1": b"one"}),
    (b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\none\r\n", {}),
    (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x--\n", {"1": b"one"}),
]


@pytest.mark.parametrize(("raw", "found"), BOUNDARIES)
def test_boundaries_part_a_letter(raw: bytes, found: dict[str, bytes]) -> None:
    assert parts(raw) == found


def test_a_boundary_that_begins_as_another_is_not_taken_for_it() -> None:
    inner = multipart(b"--xy", b"", b"one", b"--xy", b"", b"two", b"--xy--", boundary=b"xy")
    raw = multipart(b"--x", inner, b"--x", b"", b"three", b"--x--")
    assert parts(raw)["1.1"] == b"one"
    assert parts(raw)["1.2"] == b"two"
    assert parts(raw)["2"] == b"three"


def test_an_outer_boundary_ends_what_is_open_within() -> None:
    raw = multipart(b"--x", multipart(b"--y", b"", b"one", boundary=b"y"), b"--x", b"", b"two", b"--x--")
    assert parts(raw) == {"1": b"--y\r\n\r\none", "1.1": b"one", "2": b"two"}


def test_a_letter_in_a_letter_is_told_with_its_envelope() -> None:
    raw = multipart(b"--x", b"Content-Type: message/rfc822", b"", b"Subject: in", b"", b"one", b"two", b"--x--")
    assert structure(raw) == (
        b'(("message" "rfc822" NIL NIL NIL "7bit" 23 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        + PLAIN % (8, 1)
        + b' 3 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)'
    )


def test_an_international_letter_in_a_letter_is_looked_into() -> None:
    raw = b"Content-Type: message/global\r\n\r\nSubject: in\r\n\r\none\r\n"
    assert structure(raw) == (
        b'("message" "global" NIL NIL NIL "7bit" 20 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        + PLAIN % (5, 1)
        + b" 3 NIL NIL NIL NIL)"
    )


def test_parts_of_a_digest_are_letters_unless_they_say_otherwise() -> None:
    raw = multipart(
        b"--x", b"", b"Subject: in", b"", b"one", b"--x", b"Content-Type: text/plain", b"", b"two", b"--x--",
        subtype=b"digest",
    )  # fmt: skip
    assert parts(raw) == {"1": b"Subject: in\r\n\r\none", "1.1": b"one", "2": b"two"}
    assert b'"message" "rfc822"' in structure(raw)


def test_a_multipart_without_parts_is_told_with_an_empty_one() -> None:
    assert structure(multipart(b"nothing")) == b"(" + PLAIN % (0, 0) + b' "mixed" ("boundary" "x") NIL NIL NIL)'
