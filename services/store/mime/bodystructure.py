"""BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2)."""

from services.store.mime.content import Content, Parameters
from services.store.mime.envelope import Budget, envelope
from services.store.mime.parts import Kind, Part
from services.store.mime.quoting import string, unfolded

_CHARSET = b'"charset" "us-ascii"'
# A multipart must have parts; of one that has none, clients are told an empty one.
_NOTHING = b'("text" "plain" (%b) NIL NIL "7bit" 0 0' % _CHARSET


def bodystructure(raw: bytes, part: Part, budget: Budget) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of a part, with their parentheses."""
    if part.kind is Kind.MULTIPART:
        return _multipart(raw, part, budget)
    basic = _basic(raw, part)
    extension = b" %b %b)" % (unfolded(part.content.md5), _extension(part.content))
    if part.kind is not Kind.MESSAGE:
        return basic + b")", basic + extension
    nested = part.children[0]
    start = b"%b %b " % (basic, envelope(nested.fields, budget))
    body, structure = bodystructure(raw, nested, budget)
    lines = _lines(raw, part)
    return start + body + b" %d)" % lines, start + structure + b" %d" % lines + extension


def _multipart(raw: bytes, part: Part, budget: Budget) -> tuple[bytes, bytes]:
    children = [bodystructure(raw, child, budget) for child in part.children]
    children = children or [(_NOTHING + b")", _NOTHING + b" NIL NIL NIL NIL)")]
    subtype = string(part.content.subtype)
    return (
        b"(%b %b)" % (b"".join(body for body, _ in children), subtype),
        b"(%b %b %b %b)"
        % (
            b"".join(structure for _, structure in children),
            subtype,
            _parameters(part.content.parameters),
            _extension(part.content),
        ),
    )


def _basic(raw: bytes, part: Part) -> bytes:
    """Up to the size, and of text the lines."""
    told = part.content
    basic = b"(%b %b %b %b %b %d" % (
        _media_type(part),
        _parameters(told.parameters, has_charset=part.is_text),
        unfolded(told.id),
        unfolded(told.description),
        string(told.encoding or b"7bit"),
        part.end - part.body_start,
    )
    return basic + b" %d" % _lines(raw, part) if part.is_text else basic


def _media_type(part: Part) -> bytes:
    told = part.content
    if part.is_cut:
        return b'"application" "octet-stream"'
    if part.kind is Kind.MESSAGE:
        return b'"message" "global"' if told.is_kind(b"message", b"global") else b'"message" "rfc822"'
    if told.kind is None:
        return b'"text" "plain"'
    return b"%b %b" % (string(told.kind), string(told.subtype))


def _lines(raw: bytes, part: Part) -> int:
    return raw.count(b"\n", part.body_start, part.end)


def _parameters(parameters: Parameters, has_charset: bool = False) -> bytes:
    """`has_charset`: one is told in any case (RFC 2045 section 5.2)."""
    told = [b"%b %b" % (string(name), string(value)) for name, value in parameters]
    if has_charset and not any(name.lower() == b"charset" for name, _ in parameters):
        told.append(_CHARSET)
    return b"(%b)" % b" ".join(told) if told else b"NIL"


def _extension(told: Content) -> bytes:
    """Disposition, language, location."""
    disposition = b"NIL"
    if told.disposition is not None:
        disposition = b"(%b %b)" % (string(told.disposition), _parameters(told.disposition_parameters))
    languages = b"(%b)" % b" ".join(map(string, told.languages)) if told.languages else b"NIL"
    return b"%b %b %b" % (disposition, languages, unfolded(told.location))
