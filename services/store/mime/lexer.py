"""The words of structured header fields (RFC 5322 section 3.2, RFC 2045 section 5.1), forgiving.

Each reading step answers MORE, END (read, and nothing is left) or BROKEN. 8-bit bytes count as letters (RFC 6532).
"""

import re

MORE, END, BROKEN = 1, 0, -1
# What stands for NUL, which no IMAP string may hold.
REPLACEMENT = "\ufffd".encode()

_ATEXT = rb"!#-'*+\-/-9=?A-Z^-~\x80-\xff"
# A token (RFC 2045) is an atom that stops at `/`, `=` and `?` and goes on at a dot.
_TOKEN = re.compile(rb"[!#-'*+\-.0-9A-Z^-~\x80-\xff]*")
_ATOM = re.compile(rb"[" + _ATEXT + rb"]+")
_ATOM_OR_DOT = re.compile(rb"[." + _ATEXT + rb"]*")
_SPACE = re.compile(rb"[ \t\r\n]*")
_SIMPLE_COMMENT = re.compile(rb"\([^()\\]*\)")
_COMMENT_MARK = re.compile(rb"[()]|\\.?", re.DOTALL)
_QUOTED = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_DOMAIN_LITERAL = re.compile(rb"\[[^\[\]\\]*(?:\\.[^\[\]\\]*)*\]", re.DOTALL)
_ESCAPED = re.compile(rb"\\([^\r\n\x00])|\r?\n|\x00", re.DOTALL)
_FOLD_OR_NUL = re.compile(rb"\r?\n|\x00")
WORD_START = frozenset(_byte for _byte in range(256) if _ATOM.match(bytes((_byte,)))) | frozenset(b'".')

_OPEN = ord("(")
_QUOTE = ord('"')
_DOT = ord(".")


class Lexer:
    """A place in the value of one field. `text` gathers what the steps read."""

    __slots__ = ("_comment", "data", "end", "pos", "text")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)
        self.text = bytearray()
        self._comment: tuple[int, int] = (0, 0)

    def taken(self) -> bytes:
        """What `text` gathered; it is empty then."""
        text = bytes(self.text)
        self.text.clear()
        return text

    def at(self, byte: int) -> bool:
        """Whether this byte comes next."""
        return self.pos < self.end and self.data[self.pos] == byte

    def skip_space(self) -> int:
        """Over white space, folds and comments."""
        data, pos = self.data, self.pos
        while pos < self.end:
            byte = data[pos]
            if byte == _OPEN:
                self.pos = pos
                if not self._skip_comment():
                    return BROKEN
                pos = self.pos
            elif byte in b" \t\r\n":
                pos = _SPACE.match(data, pos).end()  # type: ignore[union-attr]
            else:
                break
        self.pos = pos
        return MORE if pos < self.end else END

    def _skip_comment(self) -> bool:
        """False where its end is missing; then everything is read."""
        start = self.pos
        if (simple := _SIMPLE_COMMENT.match(self.data, start)) is not None:
            self.pos = simple.end()
            self._comment = (start + 1, self.pos - 1)
            return True
        level = 0
        self._comment = (0, 0)
        for mark in _COMMENT_MARK.finditer(self.data, start):
            if mark[0] == b"(":
                level += 1
            elif mark[0] == b")":
                level -= 1
                if level == 0:
                    self.pos = mark.end()
                    self._comment = (start + 1, self.pos - 1)
                    return True
        self.pos = self.end
        return False

    def forget_comment(self) -> None:
        """`comment` is then what is read from here on."""
        self._comment = (0, 0)

    @property
    def comment(self) -> bytes:
        """The last comment's text; b"" without one."""
        start, end = self._comment
        return unquoted(self.data[start:end])

    def atom(self) -> int:
        """RFC 5322 section 3.2.3."""
        match = _ATOM.match(self.data, self.pos)
        if match is None:
            return BROKEN
        self.text += match[0]
        self.pos = match.end()
        return self.skip_space() if self.pos < self.end else END

    def dot_atom(self) -> int:
        """Atoms with dots between, and white space around the dots (RFC 5322 section 4.4)."""
        while True:
            match = _ATOM.match(self.data, self.pos)
            if match is None:
                return BROKEN
            self.text += match[0]
            self.pos = match.end()
            if (left := self.skip_space()) != MORE or not self.at(_DOT):
                return left
            self.pos += 1
            self.text += b"."
            if self.skip_space() != MORE:
                return BROKEN

    def loose_dot_atom(self) -> int:
        """As real addresses are written: dots at the ends and side by side."""
        result = BROKEN
        while True:
            while self.at(_DOT):
                self.text += b"."
                self.pos += 1
                if self.pos == self.end:
                    return END
                result = MORE
            if self.at(ord("@")):
                return result
            result = self.atom()
            if result != MORE or not self.at(_DOT):
                return result

    def token(self) -> int:
        """RFC 2045 section 5.1; may be empty."""
        match = _TOKEN.match(self.data, self.pos)
        self.text += match[0]  # type: ignore[index]
        self.pos = match.end()  # type: ignore[union-attr]
        return self.skip_space() if self.pos < self.end else END

    def quoted_string(self) -> int:
        """RFC 5322 section 3.2.4, without its quotes. BROKEN reads everything."""
        match = _QUOTED.match(self.data, self.pos)
        if match is None:
            self.pos = self.end
            return BROKEN
        self.text += unquoted(match[1])
        self.pos = match.end()
        return self.skip_space()

    def phrase(self) -> int:
        """Words with single spaces between (RFC 5322 section 4.1: with dots)."""
        if self.pos >= self.end:
            return END
        if self.at(_DOT):
            return BROKEN
        while True:
            result = self.quoted_string() if self.at(_QUOTE) else self._atom_or_dot()
            if result != MORE or self.data[self.pos] not in WORD_START:
                return result
            self.text += b" "

    def _atom_or_dot(self) -> int:
        match = _ATOM_OR_DOT.match(self.data, self.pos)
        self.text += match[0]  # type: ignore[index]
        self.pos = match.end()  # type: ignore[union-attr]
        return self.skip_space() if self.pos < self.end else END

    def domain(self) -> int:
        """RFC 5322 section 3.4.1, from the `@` on, which is not kept; a literal keeps its brackets."""
        self.pos += 1
        if self.skip_space() != MORE:
            return BROKEN
        if not self.at(ord("[")):
            return self.dot_atom()
        match = _DOMAIN_LITERAL.match(self.data, self.pos)
        if match is None:
            self.pos = self.end
            return BROKEN
        self.text += _FOLD_OR_NUL.sub(_fold_or_nul, match[0])
        self.pos = match.end()
        return self.skip_space()


def unquoted(text: bytes) -> bytes:
    """Backslashes taken out, folds joined, NUL replaced."""
    if b"\\" not in text and b"\n" not in text and b"\x00" not in text:
        return text
    return _ESCAPED.sub(lambda match: match[1] if match[1] is not None else _fold_or_nul(match), text)


def _fold_or_nul(match: re.Match[bytes]) -> bytes:
    return REPLACEMENT if match[0] == b"\x00" else b""
