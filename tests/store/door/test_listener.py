"""Who is admitted, and how a door is closed."""

import asyncio
import socket

import pytest

from services.store.door import metrics
from services.store.door.admission import Admission
from services.store.door.connection import Connection
from shared.settings import SettingsError, Store
from tests.kit.patience import until
from tests.store.door.conftest import Client, Entrance, Opening


async def test_past_all_places_a_client_is_told_and_another_admitted_when_one_is_gone(opening: Opening) -> None:
    async with opening(mailbox_connections=2) as entrance:
        first, _ = await entrance.client(), await entrance.client(tls=True)
        refused = await entrance.client(greeting=b"too many")
        assert await refused.line() == b""
        first.writer.close()
        await until(lambda: _admits(entrance))


async def test_the_doors_of_a_process_have_their_places_in_common(opening: Opening) -> None:
    admission = Admission(Store(mailbox_connections=1))
    async with opening(admission=admission) as one:
        async with opening(admission=admission) as other:
            await one.client()
            await other.client(greeting=b"too many")


async def test_who_comes_by_tls_and_is_not_admitted_costs_no_handshake(opening: Opening) -> None:
    async with opening(mailbox_connections=1) as entrance:
        await entrance.client()
        assert entrance.door.tls_port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", entrance.door.tls_port)
        assert await reader.read() == b""
        writer.close()


def test_one_address_does_not_take_all_places() -> None:
    admission = Admission(Store(connections_per_address=2))
    assert [admission.take("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert admission.take("192.0.2.2")
    admission.free("192.0.2.1")
    assert admission.take("192.0.2.1")


def test_all_addresses_of_one_ipv6_network_are_one() -> None:
    admission = Admission(Store(connections_per_address=2))
    assert [admission.take(f"2001:db8::{number}") for number in range(3)] == [True, True, False]
    assert admission.take("2001:db8:0:1::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1"])
def test_loopback_is_exempt_from_the_limit_by_address_and_not_from_that_of_all(address: str) -> None:
    admission = Admission(Store(connections_per_address=2, mailbox_connections=4))
    assert [admission.take(address) for _ in range(5)] == [True] * 4 + [False]


async def test_open_sessions_are_counted(entrance: Entrance) -> None:
    before = metrics.SESSIONS["imap"]._value.get()
    client = await entrance.client()
    assert metrics.SESSIONS["imap"]._value.get() == before + 1
    client.writer.close()
    await until(lambda: _counts(before))


async def test_sessions_are_parted_from_when_the_door_closes(entrance: Entrance) -> None:
    port, reading, waiting = entrance.door.port, await entrance.client(), await entrance.client(tls=True)
    waiting.say(b"wait\r\n")
    await until(lambda: _said(entrance, 1))
    closing = asyncio.ensure_future(entrance.door.close())
    assert [await reading.line(), await waiting.line()] == [b"ServiceEnds"] * 2
    assert [await reading.line(), await waiting.line()] == [b""] * 2
    await closing
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_session_in_the_middle_of_a_literal_may_end_it(entrance: Entrance) -> None:
    client = await entrance.client()
    client.say(b"read 10\r\n12345")
    await until(lambda: _said(entrance, 1))
    closing = asyncio.ensure_future(entrance.door.close())
    await asyncio.sleep(0.05)
    client.say(b"67890")
    assert [await client.line(), await client.line()] == [b"read 10", b"ServiceEnds"]
    await closing


async def test_sessions_that_do_not_end_are_cut(opening: Opening) -> None:
    async def deaf(connection: Connection) -> None:
        await connection.write(b"hello\r\n")
        await connection.flush()
        await asyncio.sleep(3600)

    async with opening(serve=deaf) as entrance:
        client = await entrance.client()
        half = Client(*await asyncio.open_connection("127.0.0.1", entrance.door.tls_port))
        await entrance.door.close(0.1)
        assert await client.is_cut()
        assert await half.is_cut()
        half.writer.close()
        client.writer.close()


async def test_a_session_that_fails_is_closed_and_the_others_stay(entrance: Entrance) -> None:
    failing, other = await entrance.client(), await entrance.client()
    failing.say(b"fail\r\n")
    assert await failing.line() == b""
    assert await other.ask(b"here") == b"here"


async def test_ipv6_is_served_beside_ipv4(opening: Opening) -> None:
    async with opening(mailbox_host="::1") as entrance:
        reader, writer = await asyncio.open_connection("::1", entrance.door.port)
        assert await reader.readline() == b"hello\r\n"
        assert (entrance.echo.sessions[0].peer, entrance.echo.sessions[0].is_private) == ("::1", True)
        writer.close()
    async with opening(mailbox_host="127.0.0.1, 127.0.0.2") as entrance:
        await entrance.client()


async def test_a_port_in_use_is_said_with_its_door(opening: Opening) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(SettingsError, match=r"imap: cannot listen on 127\.0\.0\.1"):
            async with opening(certificate=False, port=taken.getsockname()[1]):
                pass


async def _admits(entrance: Entrance) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", entrance.door.port)
    greeting = await reader.readline()
    writer.close()
    return greeting == b"hello\r\n"


async def _counts(sessions: float) -> bool:
    return bool(metrics.SESSIONS["imap"]._value.get() == sessions)


async def _said(entrance: Entrance, lines: int) -> bool:
    return len(entrance.echo.said) >= lines
