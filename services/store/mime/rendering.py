"""A letter rendered: all that IMAP tells of it without reading it again. Made once, kept in the mailbox."""

import struct
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import orjson

from services.store.mime.bodystructure import bodystructure
from services.store.mime.envelope import EMPTY, Budget, envelope, sent_on
from services.store.mime.fields import HEADER_BYTES
from services.store.mime.parts import Kind, Part, header_end, tree

# Raised with every change of what is rendered: what was kept before is then rendered anew.
VERSION = 1
# What a rendering may hold beside the header; more is told barely.
MOST_BYTES = 8 * 1024 * 1024
_PLAIN_ENCODING = "7bit"
_SHAPE = struct.Struct(">IIIIIQQ10s")


class Place(NamedTuple):
    """Where a part stands in the letter: MIME header from `start`, body from `body_start`, to `end`.

    `encoding` in small letters, of a leaf; `nested_body_start` of a letter in the letter, whose header begins at
    `body_start`.
    """

    start: int
    body_start: int
    end: int
    encoding: str = _PLAIN_ENCODING
    charset: str | None = None
    nested_body_start: int | None = None


@dataclass(frozen=True, slots=True)
class Rendering:
    """`envelope`, `body` and `bodystructure` stand in IMAP's syntax with their parentheses.

    `header` is the header block with its empty line, cut at HEADER_BYTES; `header_octets` is its whole length, `size`
    the letter's. `sent_on` is YYYY-MM-DD. `index` holds `parts`, packed.
    """

    envelope: bytes
    body: bytes
    bodystructure: bytes
    header: bytes
    index: bytes
    header_octets: int
    size: int
    sent_on: str | None

    @property
    def header_is_whole(self) -> bool:
        return len(self.header) == self.header_octets

    @property
    def parts(self) -> dict[str, Place]:
        """Each part that has a number (RFC 9051 section 6.4.5.1), by that number, as in "1.2"."""
        return {path: Place(*place) for path, place in orjson.loads(self.index).items()}

    @property
    def weight(self) -> int:
        """Bytes in memory, about."""
        return len(self.envelope) + len(self.body) + len(self.bodystructure) + len(self.header) + len(self.index) + 500


def render(raw: bytes) -> Rendering:
    """What IMAP tells of a letter."""
    root = tree(raw)
    budget = Budget()
    told = envelope(root.fields, budget)
    body, structure = bodystructure(raw, root, budget)
    if len(body) + len(structure) + len(told) > MOST_BYTES:
        return bare(raw)
    return Rendering(
        envelope=told,
        body=body,
        bodystructure=structure,
        header=raw[: min(root.body_start, HEADER_BYTES)],
        index=_packed(_numbered(root)),
        header_octets=root.body_start,
        size=len(raw),
        sent_on=sent_on(root.fields),
    )


def bare(raw: bytes) -> Rendering:
    """Of a letter that could not be looked into: nobody wrote it, and it is one thing that can be saved."""
    found = header_end(raw)
    start = len(raw) if found is None else found
    body = b'("application" "octet-stream" NIL NIL NIL "7bit" %d' % (len(raw) - start)
    return Rendering(
        envelope=EMPTY,
        body=body + b")",
        bodystructure=body + b" NIL NIL NIL NIL)",
        header=raw[: min(start, HEADER_BYTES)],
        index=_packed({"1": Place(0, start, len(raw))}),
        header_octets=start,
        size=len(raw),
        sent_on=None,
    )


def _packed(parts: dict[str, Place]) -> bytes:
    return orjson.dumps({path: tuple(place) for path, place in parts.items()})


def _numbered(root: Part) -> dict[str, Place]:
    """A multipart's parts are counted; anything else is its own part 1."""
    found: dict[str, Place] = {}

    def count(part: Part, before: str) -> None:
        for number, one in enumerate(part.children if part.kind is Kind.MULTIPART else [part], 1):
            path = f"{before}{number}"
            found[path] = _place(one)
            if one.kind is Kind.MULTIPART:
                count(one, path + ".")
            elif one.kind is Kind.MESSAGE:
                count(one.children[0], path + ".")

    count(root, "")
    return found


def _place(part: Part) -> Place:
    if part.kind is not Kind.LEAF:
        nested = part.children[0].body_start if part.kind is Kind.MESSAGE else None
        return Place(part.start, part.body_start, part.end, nested_body_start=nested)
    encoding, charset = part.content.encoding, part.content.parameter(b"charset")
    return Place(
        part.start,
        part.body_start,
        part.end,
        encoding.decode("latin-1").lower() if encoding else _PLAIN_ENCODING,
        charset.decode("latin-1").lower() if charset else None,
    )


def pack(rendering: Rendering) -> bytes:
    """For a pipe."""
    pieces = (rendering.envelope, rendering.body, rendering.bodystructure, rendering.header, rendering.index)
    shape = _SHAPE.pack(
        *map(len, pieces), rendering.header_octets, rendering.size, (rendering.sent_on or "").encode("ascii")
    )
    return b"".join((shape, *pieces))


def unpack(data: bytes) -> Rendering:
    """From a pipe. Raises ValueError."""
    try:
        *lengths, header_octets, size, day = _SHAPE.unpack_from(data)
    except struct.error as error:
        raise ValueError(str(error)) from error
    ends = list(accumulate(lengths, initial=_SHAPE.size))
    if ends[-1] != len(data):
        raise ValueError(f"{len(data)} bytes of a rendering instead of {ends[-1]}")
    told, body, structure, header, index = (data[start:end] for start, end in pairwise(ends))
    sent = day.rstrip(b"\x00").decode("ascii") or None
    return Rendering(told, body, structure, header, index, header_octets, size, sent)
