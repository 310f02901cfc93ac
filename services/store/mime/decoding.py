"""Transfer encodings undone (RFC 2045 section 6), and charsets read."""

import binascii
import codecs
import re

_IDENTITY = frozenset(("7bit", "8bit", "binary"))
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
# Behind a look back, so that a long run is tried once and not from each of its bytes.
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]+(?=\r?\n|\Z)")
# Python's codecs that are no charset of mail, or cost more than their bytes.
_NO_CHARSETS = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))


def decoded(body: bytes, encoding: str) -> bytes | None:
    """A part's body without its encoding (in small letters); None: the encoding is unknown (UNKNOWN-CTE).

    What is damaged is decoded as far as it goes.
    """
    if encoding in _IDENTITY:
        return body
    if encoding == "base64":
        return _from_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_TRAILING_SPACE.sub(b"", body))
    return None


def _from_base64(body: bytes) -> bytes:
    """Up to the first padding; what is no base64 is passed over (RFC 2045 section 6.8)."""
    letters = body.partition(b"=")[0].translate(None, _NOT_BASE64)
    # One letter alone is less than a byte.
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def as_text(content: bytes, charset: str | None) -> str:
    """A text as its charset reads it; without one, or of one that nobody knows, UTF-8 where it is that."""
    if charset is not None and (codec := _codec(charset)) is not None:
        try:
            return content.decode(codec, "replace")
        except Exception:
            # Some codecs have errors of their own.
            pass
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _codec(charset: str) -> str | None:
    """Its name in Python. ASCII says no more than no charset: much that claims it is not."""
    try:
        found = codecs.lookup(charset[:40])
    except (LookupError, ValueError):
        return None
    is_text = getattr(found, "_is_text_encoding", True) and found.name not in _NO_CHARSETS
    return found.name if is_text and found.name != "ascii" else None
