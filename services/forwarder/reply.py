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
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self.garbled is not None:
                return replies
            reply = self._read(line[:MOST_LINE])
            if reply is not None:
                replies.append(reply)
        self._rest = rest[:MOST_LINE]
        return replies

    def _read(self, line: bytes) -> Reply | None:
        """RFC 5321 section 4.2: three digits, then "-" where more lines follow. A bare LF ends a line, too. Where the
        lines of one reply differ in their code, the last one counts, as it does for Postfix."""
        code, mark, said = line[:3], line[3:4], line[4:].rstrip()
        if not (len(code) == 3 and code.isdigit() and b"200" <= code < b"600" and mark in (b" ", b"-", b"", b"\r")):
            self.garbled = f"no reply: {line[:100].decode('utf-8', 'replace')!r}"
            return None
        if mark == b"-":
            self._lines.append(said)
            if len(self._lines) >= MOST_LINES:
                self.garbled = f"a reply of more than {MOST_LINES} lines"
            return None
        if self._lines:
            said = b"\n".join([*self._lines, said])
            self._lines = []
        return Reply(int(code), said)
