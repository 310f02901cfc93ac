"""What each item of FETCH is answered with (RFC 9051 section 7.5.2). Pure: letters come with what was read of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.store.folders.view import Row
from services.store.imap import format as wire
from services.store.imap.commands import Item, Section
from services.store.imap.ids import email_id
from services.store.imap.selection import flags_of
from services.store.mime import sections
from services.store.mime.rendering import Rendering

# Of a letter whose bytes nobody needs.
NOTHING = b""
Piece = Callable[[Row, Rendering, bytes], bytes]

_ROW_ITEMS: dict[str, Callable[[Row], bytes]] = {
    "UID": lambda row: b"UID %d" % row.uid,
    "FLAGS": lambda row: b"FLAGS " + flags_of(row),
    "INTERNALDATE": lambda row: b"INTERNALDATE " + wire.internal_date(row.at),
    "RFC822.SIZE": lambda row: b"RFC822.SIZE %d" % row.size,
    "MODSEQ": lambda row: b"MODSEQ (%d)" % row.modseq,
    "EMAILID": lambda row: b"EMAILID (%b)" % email_id(row).encode(),
    "THREADID": lambda row: b"THREADID NIL",
}
_RENDERED_ITEMS: dict[str, Callable[[Rendering], bytes]] = {
    "ENVELOPE": lambda rendering: b"ENVELOPE " + rendering.envelope,
    "BODY": lambda rendering: b"BODY " + rendering.body,
    "BODYSTRUCTURE": lambda rendering: b"BODYSTRUCTURE " + rendering.bodystructure,
}
# RFC 3501 section 6.4.5: short for a section, and answered under a name of their own.
_OLD_ITEMS = {"RFC822": "", "RFC822.HEADER": "HEADER", "RFC822.TEXT": "TEXT"}
_SETS_SEEN = ("RFC822", "RFC822.TEXT")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The items of one FETCH, made ready."""

    of_row: tuple[Callable[[Row], bytes], ...]
    rendered: tuple[Callable[[Rendering], bytes], ...]
    sections: tuple[Section, ...]
    names: tuple[bytes, ...]

    @property
    def needs_rendering(self) -> bool:
        """Not for letters as a whole: who fetches and goes has nothing rendered."""
        return bool(self.rendered) or not all(_is_whole(one) for one in self.sections)

    def needs_raw(self, rendering: Rendering | None) -> bool:
        """Whether the letter's bytes are needed; headers are in the rendering."""
        return any(
            one.what != "BODY" or rendering is None or not sections.is_in_header(rendering, one.path, one.text)
            for one in self.sections
        )

    @property
    def may_need_raw(self) -> bool:
        """Whether some letter's bytes will be needed."""
        return any(one.what != "BODY" or one.path or not one.text.startswith("HEADER") for one in self.sections)

    def line(self, number: int, row: Row, rendering: Rendering | None, raw: bytes) -> bytes:
        """`* n FETCH (...)`. Raises UnknownEncoding."""
        told = [piece(row) for piece in self.of_row]
        if rendering is not None:
            told += [piece(rendering) for piece in self.rendered]
        told += [_section(name, one, rendering, raw) for name, one in zip(self.names, self.sections, strict=True)]
        return b"* %d FETCH (%b)\r\n" % (number, b" ".join(told))


def pieces(items: Sequence[Item | Section]) -> Pieces:
    """Items made ready; one asked for twice is answered once."""
    of_row: list[Callable[[Row], bytes]] = []
    rendered: list[Callable[[Rendering], bytes]] = []
    wanted: list[Section] = []
    names: list[bytes] = []
    for item in dict.fromkeys(items):
        if isinstance(item, Section):
            wanted.append(item)
            names.append(wire.item_name(item))
        elif item.name in _ROW_ITEMS:
            of_row.append(_ROW_ITEMS[item.name])
        elif item.name in _OLD_ITEMS:
            wanted.append(Section(text=_OLD_ITEMS[item.name], is_peek=item.name not in _SETS_SEEN))
            names.append(item.name.encode())
        else:
            rendered.append(_RENDERED_ITEMS[item.name])
    return Pieces(tuple(of_row), tuple(rendered), tuple(wanted), tuple(names))


def sets_seen(wanted: Pieces) -> bool:
    return any(not one.is_peek and one.what != "BINARY.SIZE" for one in wanted.sections)


def _is_whole(asked: Section) -> bool:
    """BODY[]: all of the letter as it is."""
    return asked.what == "BODY" and not asked.path and not asked.text


def _section(name: bytes, asked: Section, rendering: Rendering | None, raw: bytes) -> bytes:
    if rendering is None or _is_whole(asked):
        return name + b" " + wire.literal(sections.as_literal(_cut(raw, asked.partial)))
    if asked.what != "BODY":
        return _binary(name, asked, rendering, raw)
    if sections.is_in_header(rendering, asked.path, asked.text):
        content: bytes | None = sections.from_header(rendering, asked.text, asked.fields)
    else:
        content = sections.section(rendering, raw, asked.path, asked.text, asked.fields)
    if content is None:
        return name + b" NIL"
    return name + b" " + wire.literal(sections.as_literal(_cut(content, asked.partial)))


def _binary(name: bytes, asked: Section, rendering: Rendering, raw: bytes) -> bytes:
    """RFC 3516 section 4.3: what holds a NUL goes as a literal8."""
    content = sections.binary(rendering, raw, asked.path)
    if asked.what == "BINARY.SIZE":
        return name + b" %d" % len(content or b"")
    if content is None:
        return name + b" NIL"
    content = _cut(content, asked.partial)
    return name + (b" ~" if b"\0" in content else b" ") + wire.literal(content)


def _cut(content: bytes, partial: tuple[int, int] | None) -> bytes:
    if partial is None:
        return content
    first, count = partial
    return content[first : first + count]
