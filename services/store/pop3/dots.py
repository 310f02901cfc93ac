"""A letter on POP3's wire: pieces, lines that begin with a dot, the dot at the end (RFC 1939 section 3). Pure.

Letters that came by mail have CRLF at every line's end and go out as they are. What a person has put in himself may
have bare LFs: they go out as CRLF, for to who reads them as line ends a dot behind one would end the letter.
"""

from collections.abc import Iterator

PIECE_OCTETS = 64 * 1024


def dotted(raw: bytes, end: int | None = None) -> Iterator[bytes]:
    """`raw` up to `end` as it is sent, with the dot that ends it. CRLF is added where its last line has none."""
    end = len(raw) if end is None else end
    at, begins_line = 0, True
    while at < end:
        stop = min(at + PIECE_OCTETS, end)
        if raw[stop - 1 : stop + 1] == b"\r\n" and stop < end:
            stop += 1
        piece = raw[at:stop].replace(b"\n.", b"\n..")
        if piece.count(b"\n") != piece.count(b"\r\n"):
            # No piece ends between CR and LF.
            piece = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        yield b"." + piece if begins_line and piece.startswith(b".") else piece
        at, begins_line = stop, piece.endswith(b"\n")
    yield b".\r\n" if begins_line else b"\r\n.\r\n"


def end_of_top(raw: bytes, lines: int) -> int:
    """Where the header, the empty line behind it and so many more `lines` end. Steps of PIECE_OCTETS, so that in a
    thread it holds nobody up."""
    at = _end_of_header(raw)
    while lines and at < len(raw):
        stop = at + PIECE_OCTETS
        there = raw.count(b"\n", at, stop)
        if there >= lines:
            return _end_of_lines(raw, at, lines)
        lines -= there
        at = stop
    return min(at, len(raw))


def _end_of_header(raw: bytes) -> int:
    """Behind the first empty line; a letter without one is all header."""
    for empty in (b"\r\n", b"\n"):
        if raw.startswith(empty):
            return len(empty)
    for at in range(0, len(raw), PIECE_OCTETS):
        stop = at + PIECE_OCTETS + 2
        ends = [(place, place + len(mark)) for mark in (b"\n\r\n", b"\n\n") if (place := raw.find(mark, at, stop)) >= 0]
        if ends:
            return min(ends)[1]
    return len(raw)


def _end_of_lines(raw: bytes, at: int, lines: int) -> int:
    for _ in range(lines):
        at = raw.index(b"\n", at) + 1
    return at
