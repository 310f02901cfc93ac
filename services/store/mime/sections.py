"""What FETCH's BODY[...] and BINARY[...] stand for (RFC 9051 section 6.4.5.1)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from services.store.mime.decoding import decoded
from services.store.mime.fields import header_fields
from services.store.mime.rendering import Place, Rendering

Text = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]
_HEADERS = frozenset(("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT"))


class UnknownEncoding(Exception):
    """BINARY of a part whose transfer encoding is none that we know: NO [UNKNOWN-CTE]."""


def is_in_header(rendering: Rendering, path: Sequence[int], text: str) -> bool:
    """Whether `from_header` can answer: the letter's bytes are not needed."""
    return not path and text in _HEADERS and rendering.header_is_whole


def from_header(rendering: Rendering, text: str, fields: Sequence[str] = ()) -> bytes:
    """BODY[HEADER], BODY[HEADER.FIELDS (...)] or BODY[HEADER.FIELDS.NOT (...)] where `is_in_header`."""
    return _told(rendering.header, text, fields)


def section(
    rendering: Rendering, raw: bytes, path: Sequence[int], text: str = "", fields: Sequence[str] = ()
) -> bytes | None:
    """BODY[path.text (fields)] as it stands in the letter; None where there is no such part.

    Not yet an IMAP string: it may hold NUL, which a literal must not (as_literal).
    """
    found = span(rendering, path, text)
    return None if found is None else _told(raw[found[0] : found[1]], text, fields)


def span(rendering: Rendering, path: Sequence[int], text: str = "") -> tuple[int, int] | None:
    """From which octet to which a section goes; of HEADER.FIELDS, the header that they are taken from."""
    if path:
        place = rendering.parts.get(".".join(map(str, path)))
        return None if place is None else _in_part(place, text)
    if text in _HEADERS:
        return 0, rendering.header_octets
    return {"": (0, rendering.size), "TEXT": (rendering.header_octets, rendering.size)}.get(text)


def _in_part(place: Place, text: str) -> tuple[int, int] | None:
    if text == "":
        return place.body_start, place.end
    if text == "MIME":
        return place.start, place.body_start
    if place.nested_body_start is None:
        # HEADER and TEXT are of letters in the letter only.
        return None
    if text in _HEADERS:
        return place.body_start, place.nested_body_start
    return (place.nested_body_start, place.end) if text == "TEXT" else None


def _told(octets: bytes, text: str, fields: Sequence[str]) -> bytes:
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        return header_fields(octets, _names(tuple(fields)), text == "HEADER.FIELDS")
    return octets


# A client asks for the same fields of 10,000 letters.
@lru_cache(maxsize=256)
def _names(fields: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.lower().encode("utf-8", "replace") for name in fields)


def binary(rendering: Rendering, raw: bytes, path: Sequence[int]) -> bytes | None:
    """BINARY[path]: without its transfer encoding; None where there is no such part.

    Raises:
        UnknownEncoding: as its name says.
    """
    if not path:
        return raw
    place = rendering.parts.get(".".join(map(str, path)))
    if place is None:
        return None
    content = decoded(raw[place.body_start : place.end], place.encoding)
    if content is None:
        raise UnknownEncoding(place.encoding)
    return content


def as_literal(octets: bytes) -> bytes:
    """What a literal may hold (RFC 9051 section 4.3: no NUL), as long as before."""
    return octets.replace(b"\x00", b"\x80") if b"\x00" in octets else octets
