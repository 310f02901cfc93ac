"""What FETCH tells of a letter, in a form that two servers' answers can be compared by (RFC 9051 section 7.5.2)."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.kit.imapvalues import Atom, Value, read_set

_SHOWN_OCTETS = 300
_HEADER_NAMES = re.compile(r"\((.*)\)", re.DOTALL)
_OWN = {"MODSEQ", "EMAILID", "THREADID"}
# Fields of a part's structure (RFC 9051, body-fields) that are case-insensitive, by their place.
_TYPE, _SUBTYPE, _PARAMETERS, _ID, _DESCRIPTION, _ENCODING, _SIZE = range(7)


def word(value: Value) -> str:
    """A value as text. An atom and a string of the same letters are the same."""
    match value:
        case None:
            return "NIL"
        case bytes():
            return _octets(value)
        case list():
            return f"({' '.join(map(word, value))})"
        case _:
            return str(value)


def _octets(octets: bytes) -> str:
    """Readable, and short where there are many: what differs is then found by hand."""
    if len(octets) <= _SHOWN_OCTETS:
        return repr(octets)[1:]
    digest = hashlib.sha256(octets).hexdigest()[:16]
    return f"{len(octets)} octets {digest} {octets[:_SHOWN_OCTETS]!r}..."


def numbers(value: Value) -> str:
    """A set of numbers, however it was written."""
    return str(sorted(read_set(word(value))))


def pairs(values: Value) -> Iterator[tuple[Value, Value]]:
    """Name, value, name, value."""
    assert isinstance(values, list), f"no list: {values!r}"
    assert len(values) % 2 == 0, f"no pairs: {values!r}"
    yield from zip(values[::2], values[1::2], strict=True)


def item_name(item: Value) -> str:
    """A data item's name in capitals, names of header fields without quotes."""
    name = word(item).upper()
    return _HEADER_NAMES.sub(lambda found: f"({found[1].replace(chr(34), '')})", name)


def fetched(name: str, value: Value) -> str:
    """The value of data item `name`."""
    if name in _OWN:
        return "*"
    match name:
        case "FLAGS":
            assert isinstance(value, list)
            return " ".join(sorted(flag for flag in (word(one).lower() for one in value) if flag != "\\recent"))
        case "INTERNALDATE":
            return _moment(value)
        case "BODYSTRUCTURE" | "BODY":
            return word(structure(value))
        case _:
            return word(value)


def _moment(value: Value) -> str:
    """The same moment can be told in any zone."""
    assert isinstance(value, bytes)
    told = datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    return told.astimezone(UTC).isoformat()


def structure(value: Value) -> Value:
    """A BODYSTRUCTURE with its case-insensitive words in capitals and its parameters in the alphabet's order."""
    assert isinstance(value, list), f"no structure: {value!r}"
    return _multipart(value) if isinstance(value[0], list) else _part(value)


def _multipart(value: list[Value]) -> Value:
    count = next(at for at, part in enumerate(value) if not isinstance(part, list))
    subtype, *more = value[count:]
    children = [structure(part) for part in value[:count]]
    extension: list[Value] = [_parameters(more[0]), *_extension(more[1:])] if more else []
    return [*children, _capitals(subtype), *extension]


def _part(value: list[Value]) -> Value:
    fields = list(value)
    for place in (_TYPE, _SUBTYPE, _ENCODING):
        fields[place] = _capitals(fields[place])
    fields[_PARAMETERS] = _parameters(fields[_PARAMETERS])
    own = _SIZE + 1
    if fields[_TYPE] == b"TEXT":
        own += 1
    elif fields[_TYPE] == b"MESSAGE" and isinstance(fields[own] if len(fields) > own else None, list):
        fields[own + 1] = structure(fields[own + 1])
        own += 3
    # MD5, and then as in a multipart.
    return [*fields[: own + 1], *_extension(fields[own + 1 :])]


def _extension(fields: list[Value]) -> list[Value]:
    """Disposition, language, location."""
    if fields and isinstance(fields[0], list):
        disposition, parameters = fields[0]
        return [[_capitals(disposition), _parameters(parameters)], *fields[1:]]
    return fields


def _parameters(value: Value) -> Value:
    """Names have no case, and neither has the name of a character set (RFC 2046 section 4.1.2)."""
    if value is None:
        return None
    given = sorted((_capitals(name), word(text)) for name, text in pairs(value))
    return [
        Atom(f"{name.decode(errors='replace')}={text.upper() if name == b'CHARSET' else text}") for name, text in given
    ]


def _capitals(value: Value) -> bytes:
    return value.upper() if isinstance(value, bytes) else word(value).upper().encode()
