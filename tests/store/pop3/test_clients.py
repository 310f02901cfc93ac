"""Python's own client, and real letters."""

import asyncio
import poplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.kit.corpus import letters
from tests.kit.office import ANN
from tests.store.door.conftest import trusting
from tests.store.pop3.conftest import PASSWORD, Counter

T = TypeVar("T")

# Of the 6,046.
EVERY = 20


async def test_poplib_is_content(counter: Counter) -> None:
    ids = await counter.office.arrive(2, raw=b"Subject: x\r\n\r\n.dot\r\n")

    def fetch(client: poplib.POP3) -> None:
        assert client.stat() == (2, 40)
        assert [line.split()[1].decode() for line in client.uidl()[1]] == ids
        assert client.list()[1] == [b"1 20", b"2 20"]
        assert client.retr(1)[1] == [b"Subject: x", b"", b".dot"]
        assert client.top(2, 0)[1] == [b"Subject: x", b""]
        assert {"UIDL", "TOP", "PIPELINING", "RESP-CODES"} <= set(client.capa())
        client.dele(1)
        client.rset()
        client.dele(2)
        client.noop()

    await _with_poplib(counter, fetch)
    assert await _with_poplib(counter, lambda client: len(client.list()[1])) == 1


async def test_poplib_is_content_over_tls_and_with_utf8(counter: Counter) -> None:
    await counter.office.arrive(1)

    def fetch() -> int:
        client = poplib.POP3("127.0.0.1", counter.door.port, timeout=30)
        client.stls(trusting())
        client.utf8()
        with _logged_in(client):
            return client.stat()[0]

    assert await asyncio.to_thread(fetch) == 1


async def test_real_letters_come_as_they_are_kept(counter: Counter) -> None:
    raws = [letter.raw for letter in letters(ANN, every=EVERY)]
    for raw in raws:
        await counter.office.arrive(1, raw=raw)
    # Some have lines that are too long for poplib.
    wire = await counter.ann()
    sizes = [int(line.split()[1]) for line in (await wire.command(b"LIST")).lines or []]
    assert sizes == [len(raw) for raw in raws]
    for number, raw in enumerate(raws, 1):
        got = (await wire.command(b"RETR %d" % number)).lines or []
        assert b"".join(line + b"\r\n" for line in got) == raw
        assert (await wire.command(b"TOP %d 3" % number)).lines == got[: _header_lines(got) + 3]


def _header_lines(lines: list[bytes]) -> int:
    return lines.index(b"") + 1 if b"" in lines else len(lines)


async def _with_poplib(counter: Counter, do: Callable[[poplib.POP3], T]) -> T:
    def whole() -> T:
        with _logged_in(poplib.POP3("127.0.0.1", counter.door.port, timeout=30)) as client:
            return do(client)

    return await asyncio.to_thread(whole)


@contextmanager
def _logged_in(client: poplib.POP3) -> Iterator[poplib.POP3]:
    client.user(ANN)
    client.pass_(PASSWORD)
    yield client
    client.quit()
