"""The tree of a letter's parts, as places in its bytes (RFC 2046).

A boundary line ends what is open, headers too; of boundaries that a line could mean, the longest counts, as their
prefixes may be boundaries of their own. Each boundary is looked for only as far as the one around it, so that a letter
is read at most once for each level of its depth.
"""

from dataclasses import dataclass, field
from enum import Enum

from services.store.mime import fields
from services.store.mime.content import Content, content
from services.store.mime.fields import HEADER_BYTES, Fields

# What is deeper is a leaf as it stands.
MOST_DEPTH = 50
# What follows the last of them belongs to it.
MOST_PARTS = 1000
# Of all parts' headers together; then no further part is looked for.
MOST_HEADER_BYTES = 2 * 1024 * 1024
# RFC 2046 section 5.1.1 allows 70.
_BOUNDARY_BYTES = 80
_MULTIPART, _MESSAGE = b"multipart", b"message"
_WHOLE_MESSAGES = (b"rfc822", b"global")


class Kind(Enum):
    LEAF = "leaf"
    MULTIPART = "multipart"
    MESSAGE = "message"


@dataclass(slots=True)
class Part:
    """Header from `start` with its empty line, body from `body_start`, to `end`.

    `is_cut`: it has parts, and they are too deep or too many to be told.
    """

    start: int
    depth: int = 0
    parent: "Part | None" = field(default=None, repr=False)
    body_start: int = 0
    end: int = 0
    kind: Kind = Kind.LEAF
    is_cut: bool = False
    content: Content = field(default_factory=Content)
    # Of the letter itself and of letters in it.
    fields: Fields = field(default_factory=dict, repr=False)
    children: "list[Part]" = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        return (
            self.kind is Kind.LEAF and not self.is_cut and (self.content.kind is None or self.content.is_kind(b"text"))
        )

    @property
    def is_letter(self) -> bool:
        """Whether it is the letter itself, or one in it."""
        return self.parent is None or self.parent.kind is Kind.MESSAGE


@dataclass(slots=True)
class _Boundary:
    """A multipart's line; `next` is where one stands, or up to where there is none."""

    part: Part
    text: bytes
    next: int
    is_found: bool = False


def _kind(part: Part) -> Kind:
    """A digest's parts are letters unless they say otherwise (RFC 2046 section 5.1.5)."""
    told, parent = part.content, part.parent
    if told.is_kind(_MULTIPART):
        return Kind.MULTIPART
    is_digested = told.kind is None and parent is not None and parent.content.is_kind(_MULTIPART, b"digest")
    return Kind.MESSAGE if is_digested or told.is_kind(_MESSAGE, *_WHOLE_MESSAGES) else Kind.LEAF


def header_end(raw: bytes, start: int = 0, end: int | None = None) -> int | None:
    """Where the body begins: behind the first empty line from `start` on; None without one."""
    end = len(raw) if end is None else end
    if raw.startswith(b"\r\n", start, end):
        return start + 2
    if raw.startswith(b"\n", start, end):
        return start + 1
    crlf = raw.find(b"\n\r\n", start, end)
    bare = raw.find(b"\n\n", start, crlf + 1 if crlf >= 0 else end)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else None


def tree(raw: bytes) -> Part:
    """The letter as a part, its parts in it."""
    return _Tree(raw).read()


class _Tree:
    """The reading of one letter."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._root = Part(0)
        self._open: list[_Boundary] = []
        self._parts = 1
        self._header_bytes = 0

    def read(self) -> Part:
        part: Part | None = self._root
        position = 0
        while part is not None:
            position = self._read_header(part, position)
            if part.kind is Kind.MESSAGE:
                part = self._new(part, part.body_start)
            else:
                part, position = self._read_body(part, position)
        return self._root

    def _new(self, parent: Part, start: int) -> Part:
        part = Part(start, parent.depth + 1, parent)
        parent.children.append(part)
        self._parts += 1
        return part

    def _read_header(self, part: Part, position: int) -> int:
        """Sets what the header says; returns where the body is read from."""
        line, _ = self._next_line(position)
        body_start = header_end(self._raw, position, line)
        part.body_start = line if body_start is None else body_start
        self._explain(part)
        if body_start is None and self._open and self._open[-1].part is part:
            # It has no body to look for parts in.
            self._open.pop()
        line, boundary = self._next_line(part.body_start)
        if boundary is not None and boundary.part is not part and line == part.body_start:
            # The line end before a boundary is the boundary's, were it that of the empty line.
            part.body_start = self._before(line, part.start)
            return line
        return part.body_start

    def _explain(self, part: Part) -> None:
        """What kind of part it is."""
        block = self._raw[part.start : min(part.body_start, part.start + HEADER_BYTES)]
        self._header_bytes += len(block)
        found = fields.known(block)
        if part.is_letter:
            part.fields = found
        if not part.is_letter or b"mime-version" in found or b"content-type" in found:
            part.content = content(found)
        part.kind = _kind(part)
        self._open_up(part)

    def _open_up(self, part: Part) -> None:
        """Look for what is in it, unless that were too much."""
        boundary = part.content.parameter(b"boundary") if part.kind is Kind.MULTIPART else None
        if part.kind is Kind.LEAF or (part.kind is Kind.MULTIPART and boundary is None):
            return
        if part.depth + 1 >= MOST_DEPTH or (part.kind is Kind.MESSAGE and self._is_full()):
            part.kind, part.is_cut = Kind.LEAF, True
        elif boundary is not None:
            self._open.append(_Boundary(part, boundary[:_BOUNDARY_BYTES], part.body_start))

    def _is_full(self) -> bool:
        return self._parts >= MOST_PARTS or self._header_bytes >= MOST_HEADER_BYTES

    def _read_body(self, part: Part, position: int) -> tuple[Part | None, int]:
        """To the next part, which is returned with the place where its header begins; None at the letter's end."""
        while True:
            line, boundary = self._next_line(position)
            self._finish(part, boundary.part if boundary else None, line)
            if boundary is None:
                return None, line
            part = boundary.part
            behind = line + 2 + len(boundary.text)
            is_last = self._raw.startswith(b"--", behind)
            self._close(boundary, is_last)
            line_end = self._raw.find(b"\n", behind)
            position = line_end + 1 if line_end >= 0 else len(self._raw)
            if line_end >= 0 and not is_last:
                return self._new(part, position), position

    def _finish(self, part: Part, until: Part | None, line: int) -> None:
        """Parts from `part` up to `until`, which goes on, end before this line."""
        going: Part | None = part
        while going is not None and going is not until:
            going.end = line if until is None else self._before(line, going.body_start)
            going = going.parent

    def _before(self, line: int, least: int) -> int:
        """Where ends what a boundary line follows: before the line end."""
        return max(least, line - 2 if self._raw[line - 2 : line] == b"\r\n" else line - 1)

    def _close(self, boundary: _Boundary, is_last: bool) -> None:
        while self._open[-1] is not boundary:
            self._open.pop()
        if is_last:
            self._open.pop()

    def _next_line(self, position: int) -> tuple[int, _Boundary | None]:
        """The next boundary line from `position`, the start of a line; the letter's end and None without one."""
        end = len(self._raw)
        if not self._open or self._is_full():
            return end, None
        nearest = end
        for boundary in self._open:
            self._seek(boundary, position, nearest)
            if boundary.is_found and boundary.next < nearest:
                nearest = boundary.next
        here = [one for one in self._open if one.is_found and one.next == nearest]
        return (nearest, self._meant(nearest, here)) if here else (end, None)

    def _seek(self, boundary: _Boundary, position: int, until: int) -> None:
        """Find its next line, as far as `until` itself."""
        if boundary.is_found and boundary.next >= position:
            return
        start = max(position, boundary.next)
        if start > until:
            return
        needle = b"\n--" + boundary.text
        found = self._raw.find(needle, start - 1, until + len(needle))
        boundary.is_found = found >= 0
        boundary.next = found + 1 if boundary.is_found else until + 1

    def _meant(self, line: int, matching: list[_Boundary]) -> _Boundary:
        """Innermost first, the longest; one that is the whole line, with or without `--`, at once."""
        line_end = self._raw.find(b"\n", line)
        text = self._raw[line + 2 : line_end if line_end >= 0 else len(self._raw)].removesuffix(b"\r")
        best = matching[-1]
        for boundary in reversed(matching):
            if len(boundary.text) > len(best.text):
                best = boundary
            if best.text == text or (len(text) > 2 and best.text + b"--" == text):
                break
        return best
