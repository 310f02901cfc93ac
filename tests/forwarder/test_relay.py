"""One session with a main server, of every temper: what is sent, and what is told of it."""

import asyncio
from collections.abc import Callable

import pytest

from services.forwarder.relay import Envelope, LeaseStale, Route, Session, SessionFailed
from shared.settings import Forwarder
from tests.kit.mainserver import (
    MainServer,
    Temper,
    dropping_after_dot,
    dropping_before_dot,
    greeting_never,
    hanging_after_dot,
    refusing,
)

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
