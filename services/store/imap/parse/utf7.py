"""Modified UTF-7, in which names of mailboxes go over a 7-bit wire (RFC 3501 section 5.1.3). Pure."""

import binascii
import re

_SHIFTED = re.compile(r"&|[^\x20-\x7e]+")


def encode_utf7(text: str) -> bytes:
    """`text` has no lone surrogate."""
    return _SHIFTED.sub(_shift, text).encode("ascii")


def _shift(match: re.Match[str]) -> str:
    if (run := match.group()) == "&":
        return "&-"
    base64 = binascii.b2a_base64(run.encode("utf-16-be"), newline=False).decode("ascii")
    return "&" + base64.rstrip("=").replace("/", ",") + "-"


def decode_utf7(raw: bytes) -> str:
    """Raises ValueError where `raw` is not the one way to write its text: two spellings are no two mailboxes."""
    first, *shifted = raw.split(b"&")
    text = first.decode("ascii") + "".join(map(_unshift, shifted))
    if encode_utf7(text) != raw:
        raise ValueError("another spelling")
    return text


def _unshift(part: bytes) -> str:
    """What follows an "&"."""
    run, dash, plain = part.partition(b"-")
    if not dash:
        raise ValueError("no end of the shift")
    if not run:
        return "&" + plain.decode("ascii")
    padded = run.replace(b",", b"/") + b"=" * (-len(run) % 4)
    return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be") + plain.decode("ascii")
