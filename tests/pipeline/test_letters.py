"""Letters of every kind, byte for byte: real ones, broken ones, large ones."""

import pytest

from tests.kit.ledger import is_letter_behind_header
from tests.kit.sender import Outgoing
from tests.kit.system import System

ANN = "ann@example.test"
MIB = 1024 * 1024

ODD = {
    "empty": b"\r\n",
    "no header": b"just a line\r\n",
    "not MIME": b"Content-Type: multipart/mixed; boundary=never\r\n\r\nno part\r\n",
    "NUL": b"Subject: \x00\r\n\r\na\x00b\x00\r\n",
    "8 bit": b"Subject: \xe4\xff\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    "bare CR": b"Subject: a\rb\r\n\r\na\rb\r.c\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.a\r\n",
    "long line": b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n",
    "1 MB of headers": b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(1100)) + b"\r\nbody\r\n",
    "100,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\nx\r\n" * 100_000
    + b"--b--\r\n",
    "deep": b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(2000)),
    "long type": b"Content-Type: text/plain; " + b"a=b; " * 100_000 + b"\r\n\r\nbody\r\n",
    "trailing spaces": b"Subject: end\r\n\r\n  \t \r\n\r\n\r\n",
}


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_letter_is_kept_and_forwarded_byte_for_byte(system: System, kind: str) -> None:
    await system.main.go_away()
    (sent,) = await system.send([Outgoing(ODD[kind], (ANN,))])
    await system.ledger.arrive(system.sender)
    (shown,) = await system.api.letters(ANN)
    assert is_letter_behind_header(await system.api.raw(shown["id"]), ODD[kind])
    await system.main.come_back()
    await system.main.has_taken(1)
    await system.settle()
    assert sent.letter.raw == ODD[kind]
    await system.check()


@pytest.mark.parametrize("mebibytes", [1, 17, 40])
async def test_a_large_letter_is_kept_and_forwarded_byte_for_byte(system: System, mebibytes: int) -> None:
    """Above 16 MB a document holds it no more, and GridFS does."""
    raw = b"Subject: large\r\n\r\n" + bytes(range(32, 127)) * 10 + b"\r\n"
    raw += (b"%076d\r\n" % 7) * (mebibytes * MIB // 78)
    await system.send([Outgoing(raw, (ANN,))])
    await system.main.has_taken(1)
    await system.settle()
    (name,) = [i for i in await system.ledger.documents() if i.startswith(system.main.taken[0].receipt_id)]
    assert is_letter_behind_header(await system.api.raw(name), raw)
    await system.check()
