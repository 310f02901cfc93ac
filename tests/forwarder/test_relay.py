"""One session with a main server, of every temper: what is sent, and what is told of it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from services.forwarder import relay
from services.forwarder.relay import Envelope, LeaseStale, Route, Session, SessionFailed, probe
from shared.settings import Forwarder
from tests.kit import certificates
from tests.kit.mainserver import (
    MainServer,
    Temper,
    dropping_after_dot,
    dropping_before_dot,
    greeting_never,
    hanging_after_dot,
    refusing,
)
from tests.kit.scribe import EVERYTHING, HANG_UP, LOOPBACK, Scribe

HEAD = b"Received: from x by y id 01J00000000000000000000000; now\r\nSubject: hi\r\n\r\n"


def _settings(**overrides: float) -> Forwarder:
    quick = {"connect_seconds": 2.0, "command_seconds": 0.7, "data_seconds": 0.7, "final_dot_seconds": 0.7}
    return Forwarder(hostname="understudy.test", **{**quick, **overrides})  # type: ignore[arg-type]


def _route(server: MainServer, **other: str | None) -> Route:
    host, _, port = server.name.rpartition(":")
    fields: dict[str, str | None] = {"username": None, "password": None, "tls": "none", **other}
    return Route(host, int(port), fields["username"], fields["password"], fields["tls"] or "none")


async def _sent(
    server: MainServer, content: bytes, may_send: Callable[[], bool] = lambda: True
) -> tuple[str, int, bool]:
    session = await Session.open(_route(server), _settings())
    answer = await session.send(Envelope("bob@x.test", "ann@main.test", content), may_send)
    await session.quit()
    return answer.stage, answer.code, answer.dot_sent


@pytest.mark.parametrize(
    "body",
    [
        b"plain\r\n",
        b".\r\n..\r\n.leading dots\r\n",
        b"eight bit \xff\xfe\r\n",
        b"nul \x00 and bare \r inside\r\n",
        b"x" * 100_000 + b"\r\n",
        b"\r\n.\r\n" * 3,
        b"line\r\n" * 200_000,
    ],
)
async def test_the_main_server_gets_the_same_bytes(body: bytes) -> None:
    async with MainServer() as server:
        assert await _sent(server, HEAD + body) == ("dot", 250, True)
        assert [taken.raw for taken in server.taken] == [HEAD + body]


@pytest.mark.parametrize(
    ("temper", "stage", "code", "dot_sent"),
    [
        (refusing("MAIL", b"451 later"), "mail", 451, False),
        (refusing("RCPT", b"550 5.1.1 who"), "rcpt", 550, False),
        (refusing("DATA", b"452 full"), "data", 452, False),
        (refusing("DOT", b"554 spam"), "dot", 554, True),
        (dropping_before_dot, "content", 0, False),
        (dropping_after_dot, "dot", 0, True),
        (hanging_after_dot, "dot", 0, True),
    ],
)
async def test_each_refusal_is_told_with_its_stage(temper: Temper, stage: str, code: int, dot_sent: bool) -> None:
    async with MainServer(temper=temper) as server:
        told = await _sent(server, HEAD + b"x\r\n" * 300_000)
        assert told[1:] == (code, dot_sent)
        assert told[0] == stage or (stage == "content" and told[0] == "dot")


async def test_a_server_that_never_greets_fails_the_session_in_bounded_time() -> None:
    async with MainServer(temper=greeting_never) as server, asyncio.timeout(3):
        with pytest.raises(SessionFailed) as failure:
            await Session.open(_route(server), _settings())
        assert failure.value.answer.session_failed


async def test_a_closed_port_fails_the_session() -> None:
    async with MainServer() as server:
        await server.go_away()
        with pytest.raises(SessionFailed) as failure:
            await Session.open(_route(server), _settings())
        assert (failure.value.answer.stage, failure.value.answer.code) == ("connect", 0)


async def test_no_final_dot_is_sent_once_the_lease_is_stale() -> None:
    async with MainServer() as server:
        with pytest.raises(LeaseStale):
            await _sent(server, HEAD + b"late\r\n", may_send=lambda: False)
        await asyncio.sleep(0.2)
        assert server.taken == []


async def test_a_password_is_given_where_the_target_wants_one() -> None:
    async with MainServer(login=("ann", "s3cret")) as server:
        session = await Session.open(_route(server, username="ann", password="s3cret"), _settings())
        answer = await session.send(Envelope("", "ann@main.test", HEAD + b"x\r\n"), lambda: True)
        assert answer.code == 250
        await session.quit()
        with pytest.raises(SessionFailed) as failure:
            await Session.open(_route(server, username="ann", password="wrong"), _settings())
        assert (failure.value.answer.stage, failure.value.answer.code) == ("auth", 535)


@pytest.mark.parametrize(
    ("tls", "stands"), [("none", True), ("opportunistic", True), ("required", False), ("verified", False)]
)
async def test_tls_that_is_required_is_never_done_without(tls: str, stands: bool) -> None:
    """The server offers no STARTTLS."""
    async with MainServer() as server:
        if stands:
            await (await Session.open(_route(server, tls=tls), _settings())).quit()
            return
        with pytest.raises(SessionFailed) as failure:
            await Session.open(_route(server, tls=tls), _settings())
        assert failure.value.answer.stage == "starttls"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("announces", [EVERYTHING, (b"PIPELINING",), ()], ids=["chunking", "pipelining", "neither"])
async def test_letters_go_within_tls_on_every_loop(
    run: Callable[[Coroutine[Any, Any, None]], Any], announces: tuple[bytes, ...]
) -> None:
    contents = [HEAD + b"small\r\n", HEAD + b"line\r\n" * 500_000, HEAD + b"small again\r\n"]

    async def scenario() -> None:
        async with Scribe(announces or (b"8BITMIME",), tls=certificates.good()) as server:
            route = Route(LOOPBACK, server.port, None, None, "required")
            session = await Session.open(route, _settings())
            for content in contents:
                answer = await session.send(Envelope("bob@x.test", "ann@main.test", content), lambda: True)
                assert (answer.stage, answer.code) == ("dot", 250)
            await session.quit()
            assert [kept.raw for kept in server.kept] == contents
            assert server.verbs[:3] == ["EHLO", "STARTTLS", "EHLO"]

    await asyncio.to_thread(run, scenario())


async def test_what_is_announced_in_clear_counts_no_more_within_tls() -> None:
    """RFC 3207 section 4.2."""
    async with Scribe(tls=certificates.good()) as server:
        session = await Session.open(Route(LOOPBACK, server.port, None, None, "opportunistic"), _settings())
        server.announces = (b"8BITMIME",)
        await session.quit()
        session = await Session.open(Route(LOOPBACK, server.port, None, None, "opportunistic"), _settings())
        assert (await session.send(Envelope("", "ann@main.test", HEAD), lambda: True)).code == 250
        assert server.kept[0].by == "DATA"


async def test_a_session_that_the_server_has_left_is_known_to_be_of_no_use() -> None:
    async with MainServer() as server:
        session = await Session.open(_route(server), _settings())
        was_usable = session.usable
        await server.go_away()
        await asyncio.sleep(0.05)
        assert (was_usable, session.usable) == (True, False)
        answer = await session.send(Envelope("", "ann@main.test", HEAD), lambda: True)
        assert (answer.stage, answer.code, answer.dot_sent) == ("mail", 0, False)
        await session.quit()


@pytest.mark.parametrize("says", [{}, {"EHLO": [b"502 5.5.1 Not known"]}], ids=["ehlo", "helo"])
async def test_a_probe_is_polite_and_tells_who_is_there(says: dict[str, list[bytes]]) -> None:
    async with Scribe(says=says) as server:
        answer = await probe(LOOPBACK, server.port, _settings())
        assert (answer.stage, answer.code) == ("ehlo", 250)
        assert "scribe.test" in answer.text
        assert server.verbs == ["EHLO", *(["HELO"] if says else []), "QUIT"]


@pytest.mark.parametrize(
    ("says", "stage", "code"),
    [
        ({"CONNECT": [b"554 5.3.2 No"]}, "banner", 554),
        ({"CONNECT": [b"421 4.3.2 Busy"]}, "banner", 421),
        ({"CONNECT": [b"220-and"]}, "banner", 0),
        ({"CONNECT": [HANG_UP]}, "banner", 0),
        ({"EHLO": [b"421 4.3.2 Busy"]}, "ehlo", 421),
        ({"EHLO": [b"502 5.5.1 No"], "HELO": [b"502 5.5.1 No"]}, "ehlo", 502),
        ({"EHLO": [HANG_UP]}, "ehlo", 0),
    ],
)
async def test_a_probe_tells_what_is_the_matter(says: dict[str, list[bytes]], stage: str, code: int) -> None:
    async with Scribe(says=says) as server, asyncio.timeout(5):
        with pytest.raises(SessionFailed) as failure:
            await probe(LOOPBACK, server.port, _settings())
        assert (failure.value.answer.stage, failure.value.answer.code) == (stage, code)


async def test_a_probe_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PROBE_SECONDS", relay.QUIT_SECONDS)
    async with MainServer(temper=greeting_never) as server, asyncio.timeout(5):
        with pytest.raises(SessionFailed) as failure:
            await probe(LOOPBACK, server.port, _settings(connect_seconds=0.5, command_seconds=60))
        assert (failure.value.answer.stage, failure.value.answer.code) == ("banner", 0)


async def test_several_letters_go_over_one_session() -> None:
    async with MainServer() as server:
        session = await Session.open(_route(server), _settings())
        for number in range(5):
            answer = await session.send(Envelope("b@x.test", "ann@main.test", HEAD + b"%d\r\n" % number), lambda: True)
            assert answer.code == 250
        await session.quit()
        assert len(server.taken) == 5
        assert session.letters_sent == 5


async def test_a_refused_letter_does_not_end_the_session() -> None:
    refusals = iter([b"550 5.1.1 who"])

    async def once(stage: str, _said: bytes) -> bytes | None:
        return next(refusals, None) if stage == "RCPT" else None

    async with MainServer(temper=once) as server:
        session = await Session.open(_route(server), _settings())
        envelope = Envelope("b@x.test", "ann@main.test", HEAD + b"x\r\n")
        assert (await session.send(envelope, lambda: True)).code == 550
        assert (await session.send(envelope, lambda: True)).code == 250
        await session.quit()
