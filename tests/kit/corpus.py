"""The 6,046 real letters of the corpus as a sender would hand them in."""

import re
from collections.abc import Iterator

from tests.kit.sender import Outgoing
from tests.setup import corpus

LETTERS = corpus.LETTERS
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


def letters(*recipients: str, every: int = 1) -> Iterator[Outgoing]:
    """Each letter, or each `every`th, with CRLF line ends, as any client must send them."""
    files = corpus.letters()
    assert len(files) == LETTERS, f"{len(files)} letters of {LETTERS}: `make setup-tests` fetches them"
    for path in files[::every]:
        yield Outgoing(as_lines(path.read_bytes()), recipients)


def as_lines(data: bytes) -> bytes:
    """`data` with a bare LF made CRLF, and CRLF at its end; a bare CR stays."""
    data = _BARE_LINE_FEED.sub(b"\r\n", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"
