"""What POP3 answers consist of, and why a command is refused. Pure.

The texts are fixed words: nothing that a client sent (a password, say) comes back in them or gets into a log.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import islice

# Response codes (RFC 3206): wrong credentials, which a person has to look at; and what passes by itself.
AUTH, SYS_TEMP = "AUTH", "SYS/TEMP"
END = b".\r\n"
# Lines that are made together: a list of 100,000 is no reason to keep others waiting.
_LINES_AT_ONCE = 500


class Refused(Exception):
    """-ERR, and the session goes on. `code` is a response code without its brackets (RFC 2449 section 8)."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.reply = err(text, code)


class BadCommand(Refused):
    """No command, or none for this state: a client that has many of these in a row is none."""


def ok(text: str) -> bytes:
    return f"+OK {text}\r\n".encode()


def err(text: str, code: str | None = None) -> bytes:
    return f"-ERR [{code}] {text}\r\n".encode() if code else f"-ERR {text}\r\n".encode()


def challenge(octets: bytes) -> bytes:
    """What the server asks in an exchange of AUTH (RFC 5034 section 4)."""
    return b"+ %b\r\n" % b64encode(octets)


def many_lines(first: str, lines: Iterable[str]) -> Iterator[bytes]:
    """An answer of many lines, in pieces; none of `lines` begins with a dot (RFC 1939 section 3)."""
    yield ok(first)
    rest = iter(lines)
    while some := list(islice(rest, _LINES_AT_ONCE)):
        yield "".join(f"{line}\r\n" for line in some).encode()
    yield END
