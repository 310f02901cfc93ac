"""Lines, literals, TLS and deadlines, on real sockets."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from services.store.door import connection as module
from services.store.door.connection import Connection
from tests.dialogues.certificate import self_signed
from tests.kit.patience import until
from tests.store.door.conftest import Client, Entrance, Opening, trusting

MIB = 1024 * 1024


async def test_a_line_ends_with_crlf_or_a_bare_lf(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"one\r\ntwo\nthr")
    await until(lambda: _said(entrance, 2))
    client.say(b"ee\r")
    client.say(b"\n\r\n")
    assert [await client.line() for _ in range(4)] == [b"one", b"two", b"three", b""]


async def test_a_bare_cr_ends_no_line(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"one\rtwo\r\r\n")
    assert await client.line() == b"one\rtwo\r"
    assert entrance.echo.said == [b"one\rtwo\r"]


@pytest.mark.parametrize("length", [101, 150, 70_000, 900_000])
async def test_after_an_over_long_line_the_session_goes_on(entrance: Entrance, length: int) -> None:
    client = await entrance.client()
    client.say(b"abcde" + b"x" * (length - 10) + b"vwxyz\r\nnext\r\n")
    assert await client.line() == b"too long: abcde ... vwxyz"
    assert await client.line() == b"next"
    assert await client.ask(b"y" * 100) == b"y" * 100


async def test_a_line_without_end_is_cut(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"x" * (2 * MIB))
    assert await client.is_cut()
    await until(lambda: _ended(entrance, 1))


async def test_a_literal_is_read_to_its_last_octet(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"read %d\r\n" % (3 * MIB) + b"\r\n\x00" * MIB + b"next\r\n")
    assert await client.line() == b"read %d" % (3 * MIB)
    assert await client.line() == b"next"


async def test_a_refused_literal_can_be_skipped(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"skip 1200000\r\n" + b"quit\r\n" * 200_000 + b"next\r\n")
    assert await client.line() == b"skipped"
    assert await client.line() == b"next"


async def test_many_commands_at_once_are_all_answered_and_others_have_their_turn(entrance: Entrance) -> None:
    many, other = await entrance.client(), await entrance.client()
    many.say(b"".join(b"%d\r\n" % number for number in range(5_000)))
    assert await other.ask(b"me, too") == b"me, too"
    assert [await many.line() for _ in range(5_000)] == [b"%d" % number for number in range(5_000)]


@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_that_sends_on_while_it_is_served_is_read_no_further(opening: Opening, tls: bool) -> None:
    go_on = asyncio.Event()

    async def busy(connection: Connection) -> None:
        await connection.write(b"hello\r\n")
        await connection.flush()
        await go_on.wait()
        await connection.write(b"read %d\r\n" % len(await connection.read_exactly(20 * MIB)))

    async with opening(serve=busy) as entrance:
        client = await entrance.client(tls=tls)
        sending = asyncio.ensure_future(_send(client, 20 * MIB))
        await asyncio.sleep(0.5)
        (connection,) = entrance.door._connections
        assert not sending.done()
        assert len(connection._buffer) < MIB
        go_on.set()
        assert await client.line() == b"read %d" % (20 * MIB)
        await sending


async def test_what_a_client_says_before_it_closes_its_side_is_answered(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"one\r\nquit\r\n")
    client.writer.write_eof()
    assert (await client.reader.read()) == b"one\r\nbye\r\n"


async def test_a_session_whose_client_hangs_up_ends(entrance: Entrance) -> None:
    for client in (await entrance.client(), await entrance.client(tls=True)):
        client.writer.transport.abort()
    await until(lambda: _ended(entrance, 2))


# Answers


async def test_an_answer_of_any_size_arrives_whole(entrance: Entrance) -> None:
    for tls in (False, True):
        client = await entrance.client(tls=tls)
        client.say(b"big 20000000\r\n")
        assert len(await client.reader.readexactly(20_000_002)) == 20_000_002
        assert await client.ask(b"still here") == b"still here"


@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_that_takes_nothing_is_cut(opening: Opening, tls: bool) -> None:
    async with opening(write_seconds=0.3) as entrance:
        client = await entrance.client(tls=tls)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.say(b"big 50000000\r\n")
        await until(lambda: _ended(entrance, 1))
        assert entrance.echo.sessions[0].transport.is_closing()


async def test_a_client_that_takes_slowly_is_not_cut(opening: Opening) -> None:
    async with opening(write_seconds=1.0) as entrance:
        client = await entrance.client()
        client.say(b"big 6000000\r\n")
        taken = 0
        while taken < 6_000_002:
            taken += len(await client.reader.read(400_000))
            await asyncio.sleep(0.1)
        assert await client.ask(b"still here") == b"still here"


async def test_a_session_that_is_over_does_not_wait_for_its_client_for_ever(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.2)
    async with opening(write_seconds=5) as entrance:
        client = await entrance.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.say(b"big 5000000\r\n")
        await until(lambda: _said(entrance, 1))
        entrance.echo.sessions[0].close()
        await until(lambda: _gone(entrance))


# Deadlines


async def test_who_does_not_log_in_in_time_is_parted_from_whatever_he_says(opening: Opening) -> None:
    async with opening(login_seconds=0.5) as entrance:
        silent, talkative = await entrance.client(), await entrance.client()
        answer = b"again"
        while answer == b"again":
            answer = await talkative.ask(b"again")
        assert answer == b"TimeUp"
        assert await silent.line() == b"TimeUp"
        assert await silent.line() == b""


async def test_who_has_logged_in_is_parted_from_by_silence_only(opening: Opening) -> None:
    async with opening(login_seconds=0.5) as entrance:
        client = await entrance.client()
        assert await client.ask(b"login") == b"in"
        for _ in range(8):
            await asyncio.sleep(0.1)
            assert await client.ask(b"here") == b"here"
        assert await client.line() == b"TimeUp"


async def test_news_do_not_end_a_clients_silence(opening: Opening) -> None:
    async with opening(login_seconds=0.4) as entrance:
        client = await entrance.client()
        assert await client.ask(b"login") == b"in"
        client.say(b"wait\r\n")
        await until(lambda: _said(entrance, 2))
        answer = b"roused"
        while answer == b"roused":
            entrance.echo.sessions[0].rouse()
            answer = await client.line()
        assert answer == b"TimeUp"


async def test_a_literal_that_does_not_come_on_ends_the_session(opening: Opening) -> None:
    async with opening(write_seconds=0.3) as entrance:
        client = await entrance.client()
        client.say(b"read 100\r\nabc")
        assert await client.line() == b"TimeUp"


async def test_a_waiting_session_hears_its_client_and_others(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"wait\r\n")
    await until(lambda: _said(entrance, 1))
    entrance.echo.sessions[0].rouse()
    assert await client.line() == b"roused"
    assert await client.ask(b"done") == b"done"


async def test_news_that_come_before_somebody_waits_are_not_lost(entrance: Entrance) -> None:
    client = await entrance.client()
    entrance.echo.sessions[0].rouse()
    assert await client.ask(b"one") == b"one"
    client.say(b"wait\r\n")
    assert await client.line() == b"roused"


# TLS


async def test_starttls_gives_a_session_that_is_tls(entrance: Entrance) -> None:
    client = await entrance.client()
    session = entrance.echo.sessions[0]
    assert (session.is_tls, session.can_start_tls) == (False, True)
    await _start_tls(client)
    assert await client.ask(b"secret") == b"secret"
    assert (session.is_tls, session.can_start_tls, session.is_private) == (True, False, True)


async def test_what_was_injected_behind_starttls_is_never_read(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"starttls\r\ninjected\r\nmo")
    assert await client.line() == b"go ahead"
    await client.writer.start_tls(trusting())
    assert await client.ask(b"mine") == b"mine"
    assert entrance.echo.said == [b"starttls", b"mine"]


async def test_what_is_injected_before_the_handshake_breaks_it(entrance: Entrance) -> None:
    client = await entrance.client()
    assert await client.ask(b"starttls") == b"go ahead"
    client.say(b"injected\r\n")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await client.writer.start_tls(trusting())
    await until(lambda: _ended(entrance, 1))
    assert entrance.echo.said == [b"starttls"]


@pytest.mark.parametrize("from_start", [False, True])
async def test_a_handshake_that_does_not_come_ends_the_connection(
    opening: Opening, from_start: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.3)
    async with opening() as entrance:
        port = entrance.door.tls_port if from_start else entrance.door.port
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        if not from_start:
            assert await client.line() == b"hello"
            assert await client.ask(b"starttls") == b"go ahead"
        assert await client.is_cut()
        await until(lambda: _gone(entrance))
    client.writer.close()


async def test_a_renewed_certificate_is_shown_without_a_restart(entrance: Entrance, tmp_path: Path) -> None:
    before = await entrance.client(tls=True)
    self_signed(tmp_path / "door.pem")
    after = await entrance.client(tls=True)
    assert _shown(before) != _shown(after)


async def test_without_a_certificate_there_is_no_tls(opening: Opening) -> None:
    async with opening(certificate=False) as entrance:
        await entrance.client()
        assert entrance.door.tls_port is None
        assert not entrance.echo.sessions[0].can_start_tls


async def test_answers_do_not_wait_for_the_clients_acknowledgement(entrance: Entrance) -> None:
    await entrance.client()
    ours = entrance.echo.sessions[0].transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def _send(client: Client, octets: int) -> None:
    for _ in range(0, octets, 65536):
        client.say(b"x" * 65536)
        await client.writer.drain()


async def _start_tls(client: Client) -> None:
    assert await client.ask(b"starttls") == b"go ahead"
    await client.writer.start_tls(trusting())


def _shown(client: Client) -> bytes:
    secured: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    return secured.getpeercert(binary_form=True) or b""


async def _said(entrance: Entrance, lines: int) -> bool:
    return len(entrance.echo.said) >= lines


async def _ended(entrance: Entrance, sessions: int) -> bool:
    return entrance.echo.ended >= sessions


async def _gone(entrance: Entrance) -> bool:
    return not entrance.door._connections
