"""The fields of a header block: which there are, and those a client asks for."""

import re
from collections.abc import Callable
from functools import lru_cache

# The rest of a longer header is not looked at.
HEADER_BYTES = 100 * 1024

_VALUE = rb"[^\n]*(?:\n[ \t][^\n]*)*"
# Every field is matched, wanted or not, so that the scan goes from field to field and not from byte to byte.
_KNOWN = re.compile(
    rb"(content-(?:type|transfer-encoding|id|description|disposition|md5|language|location)|mime-version|date|subject"
    rb"|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id)[ \t]*:[ \t]*(" + _VALUE + rb")\n?"
    rb"|" + _VALUE + rb"\n?",
    re.IGNORECASE,
)

Fields = dict[bytes, list[bytes]]


def known(block: bytes) -> Fields:
    """The values of MIME's and the envelope's fields by name in small letters, in the letter's order.

    Folds stay, as a line feed with the white space after it.
    """
    found: Fields = {}
    for name, value in _KNOWN.findall(block[:HEADER_BYTES]):
        if name:
            found.setdefault(name.lower(), []).append(value.removesuffix(b"\r").replace(b"\r\n", b"\n"))
    return found


def header_fields(header: bytes, names: frozenset[bytes], keep: bool) -> bytes:
    """HEADER.FIELDS (`keep`) or HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1): fields as they stand, and an empty line.

    `names` in any case.
    """
    lines = header if header.endswith(b"\n") or not header else header + b"\r\n"
    if not keep:
        return b"".join(_others(names)(_without_empty_line(lines))) + b"\r\n"
    found = b"".join(_named(names)(b"\n" + lines))
    return found[1:] + b"\n\r\n" if found else b"\r\n"


def _without_empty_line(lines: bytes) -> bytes:
    if lines.endswith(b"\n\r\n") or lines == b"\r\n":
        return lines[:-2]
    return lines[:-1] if lines.endswith(b"\n\n") or lines == b"\n" else lines


# Patterns are kept: a client asks for the same fields of 10,000 letters.
@lru_cache(maxsize=256)
def _named(names: frozenset[bytes]) -> Callable[[bytes], list[bytes]]:
    """Finds the fields of these names, each with the line feed before it: that is what makes the search quick."""
    return re.compile(rb"\n(?:" + _any_of(names) + rb")[ \t]*:.*(?:\n[ \t].*)*", re.IGNORECASE).findall


@lru_cache(maxsize=256)
def _others(names: frozenset[bytes]) -> Callable[[bytes], list[bytes]]:
    """Finds the fields that have none of these names; what is found of the others is empty."""
    field = rb".*\n(?:[ \t].*\n)*"
    return re.compile(rb"(?:" + _any_of(names) + rb")[ \t]*:" + field + rb"|(" + field + rb")", re.IGNORECASE).findall


def _any_of(names: frozenset[bytes]) -> bytes:
    return b"|".join(re.escape(name) for name in sorted(names))
