"""The client of a letter is passed on where the user wants it and the server lets us, and never another letter's."""

import pytest

from services.forwarder.client import UNAVAILABLE, Client, greeting_name, xclient, xforward
from services.forwarder.outcome import Answer
from services.forwarder.relay import Envelope, Route, Session
from shared.settings import Forwarder
from tests.kit.scribe import EVERYTHING, HANG_UP, LOOPBACK, Scribe

ALL = frozenset({"NAME", "ADDR", "HELO", "SOURCE"})
ONE = Client("192.0.2.1", "one.example.org", "helo.one.test")
OTHER = Client("192.0.2.3", None, "other")
TWO = Client("2001:db8::2", None, "two")
PLAIN = (b"PIPELINING", b"8BITMIME")
LETTER = b"Received: from x by y id 01J00000000000000000000000; now\r\nSubject: hi\r\n\r\nhi\r\n"


# The words.


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (ONE, b"NAME=one.example.org ADDR=192.0.2.1 HELO=helo.one.test"),
        (TWO, b"NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::2 HELO=two"),
        (Client("fe80::1%eth0"), b"NAME=[UNAVAILABLE] ADDR=IPV6:fe80::1 HELO=[UNAVAILABLE]"),
        (Client("192.0.2.1", "a+b=c", "a+b=c"), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=a+2Bb+3Dc"),
        (Client("192.0.2.1", "10.0.0.1", "[10.0.0.1]"), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[10.0.0.1]"),
        (Client("192.0.2.1", "", "two words"), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[UNAVAILABLE]"),
        (Client("192.0.2.1", "-a.test", "x\r\nQUIT"), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[UNAVAILABLE]"),
        (Client("192.0.2.1", "b\u00fccher.test", "b\u00fc"), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[UNAVAILABLE]"),
        (Client("192.0.2.1", "x" * 64, "h" * 256), b"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[UNAVAILABLE]"),
        (Client("a unix socket", "x", "y"), b"NAME=x ADDR=[UNAVAILABLE] HELO=y"),
    ],
)
def test_what_is_not_known_or_cannot_be_said_is_called_unavailable(client: Client, said: bytes) -> None:
    assert xclient(client, ALL) == b"XCLIENT " + said


def test_only_what_is_announced_is_said() -> None:
    assert xclient(ONE, frozenset({"ADDR", "LOGIN"})) == b"XCLIENT ADDR=192.0.2.1"
    assert xclient(ONE, frozenset()) == b""
    assert xforward(ONE, frozenset({"ADDR"})) == (b"XFORWARD ADDR=192.0.2.1",)
    assert xforward(ONE, frozenset({"NAME"})) == ()


def test_xforward_tells_of_nobody_where_the_address_is_not_known() -> None:
    """Without an address the server would take the letter for one that began here."""
    assert xforward(Client("nowhere", "one.test"), ALL) == ()


def test_no_command_is_longer_than_a_command_may_be() -> None:
    long = Client("2001:db8::2", ".".join(["n" * 63] * 3), "h" * 255)
    assert len(xclient(long, ALL)) <= 510
    longest = Client("2001:db8::2", ".".join(["n" * 49] * 5), "h" * 255)
    assert xclient(longest, ALL).endswith(b" HELO=" + UNAVAILABLE.encode())
    commands = xforward(longest, ALL)
    assert len(commands) == 2
    assert all(len(command) <= 510 for command in commands)
    assert b" ".join(commands).count(b"HELO=" + b"h" * 255) == 1


@pytest.mark.parametrize("helo", [None, "", "two words", "b\u00fc", "x" * 256, "x\r\nQUIT"])
def test_we_greet_by_our_own_name_where_the_client_s_cannot_be_said(helo: str | None) -> None:
    assert greeting_name(Client("192.0.2.1", None, helo)) is None


# The session.


async def _open(server: Scribe, pass_client: str) -> Session:
    settings = Forwarder(hostname="understudy.test", connect_seconds=2, command_seconds=1, final_dot_seconds=1)
    return await Session.open(Route(LOOPBACK, server.port, None, None, "none", pass_client), settings)


async def _send(session: Session, client: Client | None) -> Answer:
    return await session.send(Envelope("bob@x.test", "ann@main.test", LETTER, client), lambda: True)


async def _sent(server: Scribe, pass_client: str, *clients: Client | None) -> list[int]:
    session = await _open(server, pass_client)
    codes = [(await _send(session, client)).code for client in clients]
    await session.quit()
    return codes


def _said(server: Scribe, *verbs: str) -> list[bytes]:
    return [line for line in server.heard if line.split()[0].decode() in verbs]


async def test_nobody_is_passed_on_unless_the_user_wants_it() -> None:
    async with Scribe() as server:
        assert await _sent(server, "none", ONE, TWO) == [250, 250]
        assert _said(server, "XCLIENT", "XFORWARD") == []


@pytest.mark.parametrize("pass_client", ["xclient", "xforward"])
async def test_a_server_that_does_not_announce_it_gets_the_letter_without(pass_client: str) -> None:
    async with Scribe(PLAIN) as server:
        assert await _sent(server, pass_client, ONE, TWO) == [250, 250]
        assert (len(server.kept), server.connections) == (2, 1)
        assert _said(server, "XCLIENT", "XFORWARD") == []


async def test_xclient_is_said_when_the_client_is_another_and_ehlo_after_it() -> None:
    async with Scribe() as server:
        assert await _sent(server, "xclient", ONE, ONE, TWO) == [250, 250, 250]
        assert _said(server, "EHLO", "XCLIENT", "MAIL") == [
            b"EHLO understudy.test",
            b"XCLIENT NAME=one.example.org ADDR=192.0.2.1 HELO=helo.one.test",
            b"EHLO helo.one.test",
            b"MAIL FROM:<bob@x.test> SIZE=%d" % len(LETTER),
            b"MAIL FROM:<bob@x.test> SIZE=%d" % len(LETTER),
            b"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::2 HELO=two",
            b"EHLO two",
            b"MAIL FROM:<bob@x.test> SIZE=%d" % len(LETTER),
        ]
        assert server.connections == 1


async def test_a_letter_of_no_known_client_never_goes_as_another_s() -> None:
    async with Scribe() as server:
        assert await _sent(server, "xclient", ONE, None) == [250, 250]
        assert server.verbs.count("XCLIENT") == 1
        assert server.connections == 2


async def test_what_is_announced_after_xclient_counts() -> None:
    """The server may trust the client less than us."""
    plain = b"250-scribe.test\r\n250 8BITMIME"
    usual = b"\r\n".join([b"250-scribe.test", *[b"250-" + word for word in EVERYTHING], b"250 HELP"])
    async with Scribe(says={"EHLO": [usual, plain]}) as server:
        assert await _sent(server, "xclient", ONE, TWO) == [250, 250]
        assert [kept.by for kept in server.kept] == ["DATA", "BDAT"]
        # It may not be said any more, so the next client begins on a connection of its own.
        assert (server.verbs.count("XCLIENT"), server.connections) == (2, 2)


async def test_xclient_is_not_said_within_a_transaction_left_open() -> None:
    async with Scribe(says={"RCPT": [b"550 5.1.1 who"]}) as server:
        assert await _sent(server, "xclient", ONE, TWO) == [550, 250]
        assert server.connections == 1
        assert server.verbs.index("RSET") == len(server.verbs) - 1 - server.verbs[::-1].index("XCLIENT") - 1


@pytest.mark.parametrize("refusal", [b"550 5.7.1 no", b"451 4.3.0 later", b"501 5.5.4 what"])
async def test_a_refused_xclient_sends_the_letters_without_it_on_a_fresh_connection(refusal: bytes) -> None:
    async with Scribe(says={"XCLIENT": [refusal] * 9}) as server:
        assert await _sent(server, "xclient", ONE, OTHER) == [250, 250]
        assert (server.verbs.count("XCLIENT"), server.connections) == (1, 2)
        assert await _sent(server, "xclient", OTHER) == [250]
        assert (server.verbs.count("XCLIENT"), server.connections) == (1, 3)


async def test_a_server_without_ipv6_is_still_told_of_clients_that_do_without_it() -> None:
    refusing = [b"220 scribe.test ESMTP", b"501 5.5.4 Bad ADDR"]
    async with Scribe(says={"XCLIENT": refusing, "XFORWARD": [b"501 5.5.4 Bad ADDR"]}) as server:
        assert await _sent(server, "xclient", ONE, TWO, ONE, TWO) == [250, 250, 250, 250]
        assert server.verbs.count("XCLIENT") == 3
        assert await _sent(server, "xforward", TWO, ONE) == [250, 250]
        assert [len(kept.forwarded) for kept in server.kept[-2:]] == [0, 4]


async def test_once_xclient_is_refused_nobody_goes_as_the_last_one_that_was_not() -> None:
    async with Scribe(says={"XCLIENT": [b"220 scribe.test ESMTP", b"550 5.7.1 no"]}) as server:
        first, second = await _open(server, "xclient"), await _open(server, "xclient")
        assert (await _send(first, ONE)).code == 250
        assert (await _send(second, OTHER)).code == 250
        connections = server.connections
        assert (await _send(first, OTHER)).code == 250
        assert server.connections == connections + 1
        assert [line for line in _said(server, "EHLO") if line != b"EHLO understudy.test"] == [b"EHLO helo.one.test"]
        await first.quit()
        await second.quit()


async def test_a_line_that_breaks_at_xclient_is_nobody_s_fault_once_it_was_used() -> None:
    """The server had closed a connection that was idle: the next try is on another."""
    async with Scribe(says={"XCLIENT": [b"220 scribe.test ESMTP", HANG_UP]}) as server:
        session = await _open(server, "xclient")
        assert (await _send(session, ONE)).code == 250
        answer = await _send(session, TWO)
        assert (answer.stage, answer.code, answer.dot_sent) == ("mail", 0, False)
        assert not session.usable
    async with Scribe(says={"XCLIENT": [HANG_UP]}) as server:
        answer = await _send(await _open(server, "xclient"), ONE)
        assert (answer.stage, answer.session_failed) == ("ehlo", True)


@pytest.mark.parametrize("announces", [EVERYTHING, (b"PIPELINING", EVERYTHING[-1]), (EVERYTHING[-1],)])
async def test_xforward_is_said_before_each_mail_without_a_round_trip_of_its_own(announces: tuple[bytes, ...]) -> None:
    async with Scribe(announces) as server:
        assert await _sent(server, "xforward", ONE, None, TWO) == [250, 250, 250]
        assert [kept.forwarded for kept in server.kept] == [
            (b"NAME=one.example.org", b"ADDR=192.0.2.1", b"HELO=helo.one.test", b"SOURCE=REMOTE"),
            (),
            (b"NAME=[UNAVAILABLE]", b"ADDR=IPV6:2001:db8::2", b"HELO=two", b"SOURCE=REMOTE"),
        ]
        if b"PIPELINING" in announces:
            assert server.reads[1][:3] == ["XFORWARD", "MAIL", "RCPT"]


async def test_a_refused_xforward_does_not_hold_the_letter_and_is_not_said_again() -> None:
    async with Scribe(says={"XFORWARD": [b"550 5.7.1 no"]}) as server:
        assert await _sent(server, "xforward", ONE, TWO) == [250, 250]
        assert (server.verbs.count("XFORWARD"), server.connections) == (1, 1)


async def test_a_refused_letter_leaves_no_client_behind() -> None:
    async with Scribe(says={"RCPT": [b"550 5.1.1 who"]}) as server:
        assert await _sent(server, "xforward", ONE, None, TWO) == [550, 250, 250]
        assert [kept.forwarded[1:2] for kept in server.kept] == [(), (b"ADDR=IPV6:2001:db8::2",)]
