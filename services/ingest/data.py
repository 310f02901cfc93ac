"""Reads a letter off the wire: where it ends, and what is kept of it.

The letter ends at CR LF "." CR LF and nowhere else. A server that also takes LF "." LF or the like for the end can be
made to read the rest of one person's letter as commands of another ("SMTP smuggling"). A bare LF inside is read as a
line end and kept as CR LF; a bare CR and NUL are kept as they are. Lines may be of any length.

No line is looked at by itself: a whole block is searched and counted by C code, and rewritten only where a count says
that there is something to rewrite. However the bytes are cut into blocks, the result is the same.
"""

import re
from enum import Enum

CRLF = b"\r\n"
_LINE_ENDS = (CRLF, b"\n")
_DOT_LINE = b"\r\n."
_END = b"\r\n.\r\n"
# What the end of a block may leave open until more bytes come, longest first.
_UNDECIDED = (b"\r\n.\r", b"\n.\r", b"\r\n.", b"\n.", b"\r.", b"\r\n", b"\n", b"\r")
# RFC 5321 section 4.5.2: the first dot goes if there are other characters on the line.
_STUFFED = re.compile(rb"\r\n\.(?!\r\n)")
# As it will be kept; the LF of CR "." LF is kept as CR LF.
_CR_DOT_CR = re.compile(rb"\r\.[\r\n]")


class Fault(Enum):
    """Why a letter will be refused at its end; until then it is read and dropped."""

    TOO_BIG = "too big"
    CR_DOT_CR = "CR . CR"
    OUT_OF_MEMORY = "out of memory"


class LetterReader:
    """Takes blocks of bytes after DATA until the letter has ended."""

    __slots__ = ("_held", "_limit", "_text", "fault")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        # The line end of the DATA command stands before the first line; a letter may be a dot alone.
        self._held = CRLF
        self._text = bytearray()
        self.fault: Fault | None = None

    @property
    def size(self) -> int:
        """Bytes kept so far."""
        return max(len(self._text) - len(CRLF), 0)

    @property
    def text(self) -> bytearray:
        """What is kept, behind one line end."""
        return self._text

    def feed(self, block: bytes) -> bytes | None:
        """Take the next bytes; once the letter has ended, return those that came behind it."""
        window = self._held + block
        # Mostly the first line that begins with a dot is the end, so one search answers two questions.
        dot = window.find(_DOT_LINE)
        end = dot if dot < 0 or window.startswith(_END, dot) else window.find(_END, dot)
        if end < 0:
            decided = len(window) - _undecided(window)
            self._held = window[decided:]
            self._keep(window[:decided], window, has_dots=dot >= 0)
            return None
        text = window[: end + len(CRLF)]
        self._keep(text, text, has_dots=dot < end)
        return window[end + len(_END) :]

    def refuse(self, fault: Fault) -> None:
        """Drop what was kept, and what will come; the first fault stays."""
        self.fault = self.fault or fault
        self._text = bytearray()

    def hand_over(self, header: bytes) -> bytes:
        """The letter behind `header`, in one piece. The reader keeps nothing: a big letter is not held twice."""
        with memoryview(self._text) as text:
            letter = b"".join((header, text[len(CRLF) :]))
        self._text = bytearray()
        return letter

    def _keep(self, text: bytes, seen: bytes, *, has_dots: bool) -> None:
        """Keep `text`; `seen` is what has come of it and behind it."""
        if self.fault:
            return
        read = len(text)
        lines = text.count(b"\n")
        if not lines == text.count(b"\r") == text.count(CRLF):
            if _CR_DOT_CR.search(seen):
                self.refuse(Fault.CR_DOT_CR)
                return
            text = text.replace(CRLF, b"\n").replace(b"\n", CRLF)
            has_dots = True
        if has_dots:
            text = _unstuffed(text, is_whole_line=seen.startswith(_LINE_ENDS, read))
        self._text += text
        if self.size > self._limit:
            self.refuse(Fault.TOO_BIG)


def _unstuffed(text: bytes, *, is_whole_line: bool) -> bytes:
    """`is_whole_line`: a line end comes next, so that a dot which ends `text` may be alone on its line."""
    if is_whole_line:
        return _STUFFED.sub(CRLF, text + CRLF)[: -len(CRLF)]
    return _STUFFED.sub(CRLF, text)


def _undecided(window: bytes) -> int:
    """How many bytes at the end of `window` could still become something else."""
    if not window.endswith(_UNDECIDED):
        return 0
    return next(len(ending) for ending in _UNDECIDED if window.endswith(ending))
