"""The fields of a letter's header as SEARCH compares them. Pure, and cheap whatever strangers wrote."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from encodings.aliases import aliases
from functools import lru_cache

from services.store.mime.decoding import as_text
from services.store.mime.words import decoded_words

_NAME = re.compile(rb"[!-9;-~]+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_SPACES = re.compile(r"[ \t\r\n]+")
_WORD_CHARSET = re.compile(rb"(=\?)([^\s?*]{1,40})(?=[?*])")
# Real letters have a few dozen in the longest field; more is not read.
_MOST_WORDS = 2000
# Combining marks are put in order by a sort whose time is quadratic, between one base character and the next.
_LONGEST_DECOMPOSED = 1000
# Python looks for other names on the disk, each time; and a few of its own take quadratic time.
_CHARSETS = (frozenset(aliases) | frozenset(aliases.values()) | {"koi8_u", "cp874"}) - frozenset(
    ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape")
)


def folded(text: str) -> str:
    """A text as it is compared: case and ways to compose a character make no difference (RFC 5051 in spirit), nor does
    how white space is written."""
    text = _SPACES.sub(" ", text)
    if text.isascii():
        return text.lower()
    return " ".join([_decomposed(word) for word in text.casefold().split(" ")])


def _decomposed(word: str) -> str:
    return unicodedata.normalize("NFKD", word) if len(word) <= _LONGEST_DECOMPOSED else word


def texts_of(header: bytes, names: Sequence[bytes]) -> dict[bytes, str]:
    """For each name that the header has, in small letters: the text of its fields, folded, one to a line.

    Encoded words are decoded before anything is compared (RFC 9051 section 6.4.4).
    """
    found: dict[bytes, str] = {}
    for name, value in _finder(tuple(names))(b"\n" + header):
        name = name.lower()
        text = folded(_read(value))
        found[name] = f"{found[name]}\n{text}" if name in found else text
    return found


def _read(value: bytes) -> str:
    unfolded = _FOLD.sub(b"", value).strip()
    if 0 < unfolded.count(b"=?") <= _MOST_WORDS:
        return decoded_words(as_text(_WORD_CHARSET.sub(_known_charset, unfolded), None))
    return as_text(unfolded, None)


def _known_charset(match: re.Match[bytes]) -> bytes:
    name = match[2].decode("latin-1").lower().replace("-", "_")
    return match[0] if name in _CHARSETS else b"=?x-unknown"


# Kept: a search asks for the same fields of 10,000 letters.
@lru_cache(maxsize=256)
def _finder(names: tuple[bytes, ...]) -> Callable[[bytes], list[tuple[bytes, bytes]]]:
    """Finds the fields of these names, each with the line feed before it: that is what makes the search quick."""
    wanted = b"|".join(re.escape(name) for name in names if _NAME.fullmatch(name))
    if not wanted:
        return lambda _header: []
    value = rb"([^\n]*(?:\n[ \t][^\n]*)*)"
    return re.compile(rb"\n(" + wanted + rb")[ \t]*:" + value, re.IGNORECASE).findall
