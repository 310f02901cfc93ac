"""Encoded words of header fields (RFC 2047), decoded as far as anybody can."""

import base64
import binascii
import re

# RFC 2047 section 2; the language after `*` is RFC 2231 section 5.
_ENCODED_WORD = re.compile(r"=\?([^\s?*]{1,40})(?:\*[^\s?]{0,40})?\?([BbQq])\?([^?\r\n]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t\r\n]+(?==\?)")
_QUOTED_BYTE = re.compile(rb"=([0-9A-Fa-f]{2})")


def decoded_words(text: str) -> str:
    """`text` with its encoded words read; the white space between two of them goes (RFC 2047 section 6.2)."""
    if "=?" not in text:
        return text
    text = _BETWEEN_WORDS.sub("", text)
    pieces: list[str] = []
    end = 0
    # Words of one charset that touch are decoded as one: a sender may have cut a character in two.
    waiting: tuple[str, bytes] = ("", b"")
    for match in _ENCODED_WORD.finditer(text):
        charset, content = match[1].lower(), _word_bytes(match[2], match[3])
        if match.start() == end and waiting[0] == charset:
            waiting = (charset, waiting[1] + content)
        else:
            pieces += [_decoded(*waiting), text[end : match.start()]]
            waiting = (charset, content)
        end = match.end()
    pieces += [_decoded(*waiting), text[end:]]
    return "".join(pieces)


def _word_bytes(encoding: str, content: str) -> bytes:
    raw = content.encode("utf-8", "replace")
    if encoding in "Qq":
        return _QUOTED_BYTE.sub(lambda match: bytes((int(match[1], 16),)), raw.replace(b"_", b" "))
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return b"?"


def _decoded(charset: str, content: bytes) -> str:
    if not content:
        return ""
    try:
        return content.decode(charset, "replace")
    except Exception:
        # No such charset, or one of those that are none (`undefined`, `idna` ...).
        return content.decode("ascii", "replace")
