"""The text of a letter that SEARCH looks through (RFC 9051 section 6.4.4): decoded, folded to one case, bounded."""

import re
from collections.abc import Iterator

from services.store.mime.content import Content
from services.store.mime.decoding import as_text, decoded
from services.store.mime.fields import HEADER_BYTES
from services.store.mime.parts import Part, tree
from services.store.mime.words import decoded_words

# Of a letter's text parts together, before they are decoded; what is behind is not found.
MOST_TEXT_BYTES = 8 * 1024 * 1024
_FOLD = re.compile(r"\r?\n(?=[ \t])")


def casemapped(text: str) -> str:
    """What is equal in any case is equal after this (as i;unicode-casemap, RFC 5051, without its decomposition)."""
    return text.casefold()


def contains(raw: bytes, needle: str, in_headers: bool) -> bool:
    """TEXT (`in_headers`) or BODY; `needle` casemapped. Transfer encodings and charsets do not hide anything."""
    return any(needle in casemapped(text) for text in texts(raw, in_headers))


def texts(raw: bytes, in_headers: bool) -> Iterator[str]:
    """Each text of the letter: the header blocks of all parts if asked for, and the text parts."""
    left = MOST_TEXT_BYTES
    for part in _parts(tree(raw)):
        if in_headers and part.start < part.body_start:
            yield header_text(raw[part.start : min(part.body_start, part.start + HEADER_BYTES)])
        if part.is_text and left > 0:
            body = raw[part.body_start : min(part.end, part.body_start + left)]
            left -= len(body)
            yield body_text(body, part.content)


def header_text(block: bytes) -> str:
    """A header block as people read it: unfolded, encoded words decoded."""
    return decoded_words(_FOLD.sub("", as_text(block, None)))


def body_text(body: bytes, told: Content) -> str:
    """A text part's body; one of an unknown encoding as it stands."""
    encoding, charset = told.encoding or b"7bit", told.parameter(b"charset")
    content = decoded(body, encoding.decode("latin-1").lower())
    return as_text(body if content is None else content, charset.decode("latin-1") if charset else None)


def _parts(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(part.children)
