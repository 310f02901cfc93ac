"""The most common main server there is: what it makes of our chunks, our pipelines and our words about clients."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from services.forwarder.client import Client
from services.forwarder.relay import Envelope, Route, Session
from shared.settings import Forwarder
from tests.bench.postfix import Postfix, postfix
from tests.kit import corpus
from tests.kit.mainserver import LOOPBACK, MainServer
from tests.kit.patience import until

LETTERS = 200
HEAD = b"Received: from x by y id %026d; now\r\n"
CLIENT = Client("192.0.2.1", "one.example.org", "helo.one.test")
# It relays for everybody what it is given, and leaves it as it is; and it believes what we say of clients.
SETTINGS = """
mynetworks = 0.0.0.0/0 [::]/0
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_authorized_xforward_hosts = 127.0.0.1
message_drop_headers =
header_size_limit = 10000000
smtp_line_length_limit = 0
hopcount_limit = 1000
initial_destination_concurrency = 20
smtputf8_enable = no
inet_protocols = all
local_header_rewrite_clients =
"""


@dataclass(slots=True)
class Relayed:
    """A Postfix, and behind it the server that shows what it was given."""

    postfix: Postfix
    behind: MainServer
    # The command by which letters come to their end, as its log counts it.
    way: str

    async def send(self, letters: Sequence[Envelope], pass_client: str = "none") -> None:
        """Over one session; each is taken by both."""
        self.behind.forget()
        route = Route(LOOPBACK, self.postfix.port, None, None, "none", pass_client)
        session = await Session.open(route, Forwarder(hostname="understudy.test", command_seconds=30))
        for letter in letters:
            answer = await session.send(letter, lambda: True)
            assert (answer.stage, answer.code) == ("dot", 250), answer
        await session.quit()
        await self.behind.has_taken(len(letters))

    async def logged(self, words: str) -> None:
        """Until it has written that down."""

        async def is_there() -> bool:
            return words in self.postfix.log

        await until(is_there, within=10, what=words)


@pytest.fixture(scope="module", params=["bdat", "data"])
async def relayed(request: pytest.FixtureRequest) -> AsyncIterator[Relayed]:
    settings = SETTINGS if request.param == "bdat" else SETTINGS + "smtpd_discard_ehlo_keywords = chunking\n"
    async with MainServer() as behind:
        running = postfix(behind.port, settings)
        instance = await asyncio.to_thread(running.__enter__)
        try:
            yield Relayed(instance, behind, request.param)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)


async def test_real_letters_come_through_byte_for_byte(relayed: Relayed) -> None:
    real = [_without_envelope(letter.raw) for letter in corpus.letters(every=corpus.LETTERS // LETTERS)]
    sent = {f"{number:026d}": HEAD % number + raw for number, raw in enumerate(real)}
    await relayed.send([_letter(content) for content in sent.values()])
    assert [taken.receipt_id for taken in relayed.behind.taken if not taken.raw.endswith(sent[taken.receipt_id])] == []
    await relayed.logged(f" {relayed.way}={len(sent)} ")


async def test_a_large_letter_comes_through_byte_for_byte(relayed: Relayed) -> None:
    content = HEAD % 1 + b"Subject: large\r\n\r\n" + b".a line and a dot\r\n" * 400_000
    await relayed.send([_letter(content)])
    assert relayed.behind.taken[0].raw.endswith(content)


async def test_it_takes_us_for_the_client_that_handed_the_letter_in(relayed: Relayed) -> None:
    clients = [CLIENT, CLIENT, Client("2001:db8::2", None, "two")]
    await relayed.send([_letter(HEAD % n + b"\r\nhi\r\n", client) for n, client in enumerate(clients)], "xclient")
    headers = {taken.receipt_id: taken.raw.partition(b"\r\n")[0] for taken in relayed.behind.taken}
    assert [headers[f"{number:026d}"] for number in range(3)] == [
        b"Received: from helo.one.test (one.example.org [192.0.2.1])",
        b"Received: from helo.one.test (one.example.org [192.0.2.1])",
        b"Received: from two (unknown [IPv6:2001:db8::2])",
    ]


async def test_it_logs_the_client_that_handed_the_letter_in(relayed: Relayed) -> None:
    clients = [CLIENT, None, Client("2001:db8::2", None, "two")]
    await relayed.send([_letter(HEAD % n + b"\r\nhi\r\n", client) for n, client in enumerate(clients)], "xforward")
    await relayed.logged("client=unknown[127.0.0.1], orig_client=one.example.org[192.0.2.1]")
    await relayed.logged("client=unknown[127.0.0.1], orig_client=unknown[2001:db8::2]")


def _letter(content: bytes, client: Client | None = None) -> Envelope:
    return Envelope("bob@x.test", "ann@main.test", content, client)


def _without_envelope(raw: bytes) -> bytes:
    """The corpus is cut from mailbox files, and some letters begin with such a file's line, which is no header."""
    return raw.partition(b"\r\n")[2] if raw.startswith(b"From ") else raw
