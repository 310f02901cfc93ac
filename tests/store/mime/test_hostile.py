"""No bytes break the looking, and none make what is told of them large."""

import base64
import contextlib
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.mime.envelope import MOST_ADDRESSES
from services.store.mime.fields import HEADER_BYTES
from services.store.mime.parts import MOST_DEPTH, MOST_PARTS
from services.store.mime.rendering import MOST_BYTES, Rendering, bare, pack, render, unpack
from services.store.mime.sections import UnknownEncoding, binary, section
from services.store.mime.text import contains
from tests.kit import corpus


def nested(levels: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(levels)
    )


def mixed(body: bytes, subtype: bytes = b"mixed") -> bytes:
    return b"Content-Type: multipart/%b; boundary=x\r\n\r\n" % subtype + body


HOSTILE = {
    "1,000 deep": nested(1000),
    "1,000 letters deep": b"Content-Type: message/rfc822\r\n\r\n" * 1000,
    "100,000 parts": mixed(b"--x\r\n\r\na\r\n" * 100_000),
    "100,000 parts, no body": mixed(b"--x\r\n" * 100_000),
    "a Content-Type of 589 KB": b"Content-Type: text/plain; name=" + b"x" * 589_000 + b"\r\n\r\nhi\r\n",
    "100,000 parameters": b"Content-Type: text/plain" + b"; a=b" * 100_000 + b"\r\n\r\n",
    "10,000 continuations": b"Content-Type: text/plain" + b"; a*1=b" * 10_000 + b"\r\n\r\n",
    "100,000 comments open": b"Content-Type: " + b"(" * 100_000 + b"\r\nFrom: " + b"(" * 100_000 + b"\r\n\r\n",
    "50,000 addresses": b"From: " + b"a," * 50_000 + b"\r\n\r\n",
    "25,000 groups": b"From: " + b"a:;," * 25_000 + b"\r\n\r\n",
    "50,000 dots": b"From: " + b"a." * 50_000 + b"\r\n\r\n",
    "100,000 quotes": b"From: " + b'"' * 100_000 + b"\r\n\r\n",
    "a digest of addresses": mixed((b"--x\r\n\r\nFrom: " + b"a," * 40_000 + b"\r\n\r\n") * 30, b"digest"),
    "headers of 3 MB": mixed((b"--x\r\nContent-Type: a/b; c=" + b"y" * 90_000 + b"\r\n\r\n") * 40),
    "lines that are nearly boundaries": nested(45) + b"--b\r\n" * 400_000,
    "multiparts without ends": mixed(
        b"--x\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n" * 900 + b"\n" * 500_000
    ),
    "an empty boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n' + b"--\r\n\r\n" * 100_000,
    "NUL": b'From: a\x00b <\x00>\r\nSubject: \x00\r\nContent-Type: a/b; c="\x00"\r\nContent-ID: \x00\r\n\r\n\x00',
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 7000 + b"\r\n\r\n",
    "an expensive charset": b"Subject: =?punycode?q?" + b"a-b" * 30_000 + b"?=\r\n\r\n",
    "a header without end": b"X: y\r\n" * 200_000,
    "spaces in quoted-printable": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b" " * 1_000_000,
    "a codec that is no charset": b"Content-Type: text/plain; charset=zlib\r\n\r\nhi\r\n",
    "a charset of NUL": b'Content-Type: text/plain; charset="\x00"\r\n\r\nhi\r\n',
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_letters_are_told_in_bounds(raw: bytes) -> None:
    rendering = render(raw)
    check(raw, rendering)
    assert contains(raw, "no such text", True) is False


def check(raw: bytes, rendering: Rendering) -> None:
    """What is true of every rendering."""
    assert rendering.weight < MOST_BYTES + HEADER_BYTES + 200_000
    assert unpack(pack(rendering)) == rendering
    assert rendering.size == len(raw)
    assert len(rendering.parts) <= MOST_PARTS
    for told in (rendering.envelope, rendering.body, rendering.bodystructure):
        assert b"\x00" not in told
        assert is_balanced(told)
    for path, place in islice(rendering.parts.items(), 20):
        assert path.count(".") < MOST_DEPTH
        assert 0 <= place.start <= place.body_start <= place.end <= len(raw)
        assert place.nested_body_start is None or place.body_start <= place.nested_body_start <= place.end
        numbers = tuple(map(int, path.split(".")))
        assert section(rendering, raw, numbers) == raw[place.body_start : place.end]
        with contextlib.suppress(UnknownEncoding):
            assert binary(rendering, raw, numbers) is not None


def is_balanced(told: bytes) -> bool:
    """Whether it is one parenthesised list of strings, numbers, NIL and lists (RFC 9051 section 9)."""
    depth = 0
    for token in _tokens(told):
        depth += {b"(": 1, b")": -1}.get(token, 0)
        if depth == 0 and token != b")":
            return False
    return depth == 0


def _tokens(told: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(told):
        byte = told[at : at + 1]
        if byte == b'"':
            end = at + 1
            while told[end : end + 1] != b'"':
                end += 2 if told[end : end + 1] == b"\\" else 1
                assert end < len(told)
            at = end
        elif byte == b"{":
            end = told.index(b"}\r\n", at)
            at = end + 2 + int(told[at + 1 : end])
        else:
            assert byte in b"() NIL0123456789"
        yield byte
        at += 1


def test_parts_beyond_the_last_belong_to_it() -> None:
    rendering = render(HOSTILE["100,000 parts"])
    assert len(rendering.parts) == MOST_PARTS - 1
    assert rendering.parts[str(MOST_PARTS - 1)].end == rendering.size


def test_what_is_too_deep_is_a_leaf_as_it_stands() -> None:
    rendering = render(HOSTILE["1,000 deep"])
    assert b'("application" "octet-stream" ("boundary" "b%d")' % (MOST_DEPTH - 1) in rendering.bodystructure


def test_addresses_beyond_the_budget_are_not_told() -> None:
    assert render(HOSTILE["50,000 addresses"]).envelope.count(b'(NIL NIL "a"') == 3 * MOST_ADDRESSES


@given(st.binary(max_size=3000))
def test_any_bytes_have_a_rendering(raw: bytes) -> None:
    check(raw, render(raw))
    check(raw, bare(raw))
    contains(raw, "x", True)


PIECES = st.sampled_from(
    b"--x|--x--|--xy|\r\n|\r\n\r\n|\n|Content-Type: |multipart/mixed; boundary=x|multipart/digest; boundary=xy"
    b"|message/rfc822|text/plain; charset=|; a*0=b; a*1*=c|From: |Subject: |a@b.c|=?utf-8?q?x?=|(|)|<|>|:"
    b'|;|,|"|\\| |\x00|\xff'
    b"|MIME-Version: 1.0|Content-Transfer-Encoding: base64|Content-Disposition: inline|Date: 1 Jan 2024".split(b"|")
)


@given(st.lists(PIECES, max_size=60).map(b"".join))
@settings(max_examples=500)
def test_any_mixture_of_what_letters_are_made_of_has_a_rendering(raw: bytes) -> None:
    check(raw, render(raw))
    contains(raw, "x", True)


LETTERS = [letter.raw for letter in corpus.letters("ann@example.test", every=300)]


@given(
    st.sampled_from(LETTERS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=8)), max_size=8),
)
@settings(max_examples=200)
def test_any_damaged_letter_has_a_rendering(raw: bytes, wounds: list[tuple[float, int, bytes]]) -> None:
    for where, length, other in wounds:
        # Most of what matters stands near the beginning.
        at = int(where * where * len(raw))
        raw = raw[:at] + other + raw[at + length :]
    check(raw, render(raw))
    contains(raw, "x", True)


@given(st.binary(max_size=200))
def test_whole_base64_is_read_back(content: bytes) -> None:
    raw = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)
    assert binary(render(raw), raw, (1,)) == content
