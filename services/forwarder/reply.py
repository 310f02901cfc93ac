"""Replies of a main server, read from bytes as they come. Pure; however the bytes are cut, the replies are the same.

What is kept of a reply is bounded: a line is cut at `MOST_LINE`, a reply has at most `MOST_LINES`. RFC 5321 section
4.5.3.1.5 gives a line 512 octets.
"""

from typing import NamedTuple

MOST_LINE = 2048
MOST_LINES = 200
# What is kept of an answer in a letter.
MOST_TEXT = 500


class Reply(NamedTuple):
    """One reply: its code, 200 to 599, and what was said, lines joined by LF, without their codes."""

    code: int
    said: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        """Bounded, and good for any database."""
        return self.said[:MOST_TEXT].decode("utf-8", "replace")


# RFC 5321 section 4.2: three digits, then "-" where more lines follow. A bare LF ends a line, too. Where the lines of
# one reply differ in their code, the last one counts, as it does for Postfix.
_CODES = {b"%d" % code: code for code in range(200, 600)}
_MARKS = frozenset({b" ", b"-", b"\r", b""})


class ReplyReader:
    """Takes bytes, gives replies. After `garbled` says why, nothing more is read: where the next reply would begin
    nobody knows."""

    __slots__ = ("_lines", "_rest", "garbled")

    def __init__(self) -> None:
        self._rest = b""
        # The lines so far of a reply that goes on.
        self._lines: list[bytes] = []
        self.garbled: str | None = None

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes."""
        replies: list[Reply] = []
        if self.garbled is not None:
            return replies
        *lines, rest = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        for line in lines:
            code = _CODES.get(line[:3])
            if code is None or line[3:4] not in _MARKS:
                self.garbled = f"no reply: {line[:100].decode('utf-8', 'replace')!r}"
                return replies
            said = line[4:MOST_LINE].rstrip()
            if line[3:4] == b"-":
                self._lines.append(said)
            else:
                replies.append(Reply(code, self._whole(said) if self._lines else said))
            if len(self._lines) >= MOST_LINES:
                self.garbled = f"a reply of more than {MOST_LINES} lines"
                return replies
        self._rest = rest[:MOST_LINE]
        return replies

    def _whole(self, last: bytes) -> bytes:
        said = b"\n".join([*self._lines, last])
        self._lines = []
        return said
