"""What a part's Content-* fields say of it (RFC 2045, 2183, 2231, 3282)."""

import re
from dataclasses import dataclass, field

from services.store.mime.fields import Fields
from services.store.mime.lexer import BROKEN, END, MORE, REPLACEMENT, Lexer

# Of one field; real letters have a handful.
MOST_PARAMETERS = 200

Parameters = list[tuple[bytes, bytes]]

# name*1 and name*1* (RFC 2231 section 3), name* (section 4).
_CONTINUED = re.compile(rb"([^*]*)\*([0-9]{0,9})(\*?)", re.DOTALL)
_UNTIL_SPACE = re.compile(rb"[^; \t\r\n]*")
_SLASH, _SEMICOLON, _EQUALS, _QUOTE, _COMMA = b'/;=",'


@dataclass(slots=True)
class Content:
    """None where the letter says nothing; names and values as it writes them."""

    kind: bytes | None = None
    subtype: bytes = b""
    parameters: Parameters = field(default_factory=list)
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes | None = None
    md5: bytes | None = None
    disposition: bytes | None = None
    disposition_parameters: Parameters = field(default_factory=list)
    languages: list[bytes] = field(default_factory=list)
    location: bytes | None = None

    def is_kind(self, kind: bytes, *subtypes: bytes) -> bool:
        """Whether the media type is this one, in any case; of these subtypes if any are named."""
        return (
            self.kind is not None and self.kind.lower() == kind and (not subtypes or self.subtype.lower() in subtypes)
        )

    def parameter(self, name: bytes) -> bytes | None:
        """The first of that name."""
        return next((value for key, value in self.parameters if key.lower() == name), None)


def content(fields: Fields) -> Content:
    """What the first field of each name says."""
    told = Content(
        id=_text(fields, b"content-id"),
        description=_text(fields, b"content-description"),
        md5=_text(fields, b"content-md5"),
        location=_text(fields, b"content-location"),
    )
    if (values := fields.get(b"content-type")) is not None:
        _read_type(told, values[0])
    for value in fields.get(b"content-transfer-encoding", ()):
        told.encoding = told.encoding or _encoding(value)
    for value in fields.get(b"content-disposition", ()):
        if not told.disposition_parameters:
            _read_disposition(told, value)
    for value in fields.get(b"content-language", ()):
        told.languages = told.languages or _languages(value)
    return told


def text_of(value: bytes) -> bytes:
    """A value as it may stand in an IMAP string."""
    return value.replace(b"\x00", REPLACEMENT) if b"\x00" in value else value


def _text(fields: Fields, name: bytes) -> bytes | None:
    values = fields.get(name)
    return text_of(values[0]) if values else None


def _read_type(told: Content, value: bytes) -> None:
    """What is no media type leaves the default (RFC 2045 section 5.2)."""
    lexer = Lexer(value)
    kind, subtype, result = _media_type(lexer)
    if kind:
        told.kind, told.subtype = kind, subtype
    if result != BROKEN:
        told.parameters = parameters(lexer)


def _media_type(lexer: Lexer) -> tuple[bytes, bytes, int]:
    broken = (b"", b"", BROKEN)
    if lexer.skip_space() != MORE or lexer.token() != MORE or not lexer.text or not lexer.at(_SLASH):
        return broken
    kind = lexer.taken()
    lexer.pos += 1
    if lexer.skip_space() != MORE:
        return broken
    result = lexer.token()
    if result == BROKEN or not lexer.text or not (lexer.pos == lexer.end or lexer.at(_SEMICOLON)):
        return broken
    return kind, lexer.taken(), result


def _encoding(value: bytes) -> bytes | None:
    """One token and nothing after it."""
    lexer = Lexer(value)
    lexer.skip_space()
    return lexer.taken() or None if lexer.token() != BROKEN and lexer.skip_space() == END else None


def _read_disposition(told: Content, value: bytes) -> None:
    lexer = Lexer(value)
    lexer.skip_space()
    if lexer.token() != BROKEN:
        told.disposition = lexer.taken()
        told.disposition_parameters = parameters(lexer)


def _languages(value: bytes) -> list[bytes]:
    lexer, found = Lexer(value), []
    lexer.skip_space()
    while lexer.atom() != BROKEN:
        found.append(lexer.taken())
        if not lexer.at(_COMMA):
            break
        lexer.pos += 1
        lexer.skip_space()
    return found


def parameters(lexer: Lexer) -> Parameters:
    """`;name=value` to the end; continuations of RFC 2231 joined where they are whole. What is broken is passed over.

    Joined parameters come last. One of which a piece is extended is `name*`, and its plain pieces are encoded to fit.
    """
    plain: Parameters = []
    pieces: list[tuple[bytes, int, bool, bytes]] = []
    while lexer.pos < lexer.end and len(plain) + len(pieces) < MOST_PARAMETERS:
        lexer.text.clear()
        if (found := _parameter(lexer)) is None:
            next_one = lexer.data.find(b";", lexer.pos + 1)
            lexer.pos = next_one if next_one >= 0 else lexer.end
        elif (piece := _CONTINUED.fullmatch(found[0])) is not None:
            pieces.append((piece[1], int(piece[2] or 0), bool(piece[3]) or not piece[2], found[1]))
        else:
            plain.append(found)
    return plain + _joined(pieces) if pieces else plain


def _parameter(lexer: Lexer) -> tuple[bytes, bytes] | None:
    if not lexer.at(_SEMICOLON):
        return None
    lexer.pos += 1
    if lexer.skip_space() != MORE or lexer.token() != MORE or not lexer.at(_EQUALS):
        return None
    name = lexer.taken()
    lexer.pos += 1
    result = lexer.skip_space()
    if result == MORE:
        result = _value(lexer)
    return None if result == BROKEN else (name, lexer.taken())


def _value(lexer: Lexer) -> int:
    if lexer.at(_QUOTE):
        return lexer.quoted_string()
    if lexer.at(_EQUALS):
        # name==?utf-8?b?...?=, which some programs write.
        word = _UNTIL_SPACE.match(lexer.data, lexer.pos)
        lexer.text += word[0]  # type: ignore[index]
        lexer.pos = word.end()  # type: ignore[union-attr]
        return MORE
    return lexer.token()


def _joined(pieces: list[tuple[bytes, int, bool, bytes]]) -> Parameters:
    by_name: dict[bytes, list[tuple[bytes, int, bool, bytes]]] = {}
    for piece in sorted(pieces, key=lambda piece: piece[:2]):
        by_name.setdefault(piece[0].lower(), []).append(piece)
    found: Parameters = []
    for group in by_name.values():
        if [number for _, number, _, _ in group] == list(range(len(group))):
            found.append(_whole(group))
        else:
            found += [
                (b"%b*%d%b" % (name, number, b"*" if is_extended else b""), value)
                for name, number, is_extended, value in group
            ]
    return found


def _whole(group: list[tuple[bytes, int, bool, bytes]]) -> tuple[bytes, bytes]:
    if not any(is_extended for _, _, is_extended, _ in group):
        return group[0][0], b"".join(value for _, _, _, value in group)
    # Extended pieces begin with charset'language'.
    start = b"" if group[0][2] else b"''"
    values = [value if is_extended else value.replace(b"%", b"%25") for _, _, is_extended, value in group]
    return group[0][0] + b"*", start + b"".join(values)
