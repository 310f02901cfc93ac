"""Sessions: privacy, limits, one client beside another, and faults of our own."""

import asyncio
import random

import pytest
import structlog

from services.store.door import connection as connections
from tests.kit.imapwire import Closed
from tests.kit.office import ANN
from tests.kit.popwire import PopWire
from tests.store.door.conftest import Client, trusting
from tests.store.pop3.conftest import PASSWORD, Counter, Opening

MIB = 1024 * 1024
SYS_TEMP = b"-ERR [SYS/TEMP]"


async def test_no_password_is_taken_in_clear_from_afar(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "is_loopback", lambda _: False)
    wire = await counter.stranger()
    told = (await wire.command(b"CAPA")).lines or []
    assert b"STLS" in told
    assert not [line for line in told if line.startswith((b"USER", b"SASL"))]
    for command in (b"USER " + ANN.encode(), b"PASS " + PASSWORD.encode(), b"AUTH PLAIN", b"AUTH LOGIN"):
        assert (await wire.command(command)).first == b"-ERR no passwords in clear here: say STLS first"


async def test_passwords_are_taken_from_afar_over_tls(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "is_loopback", lambda _: False)
    client = Client(*await asyncio.open_connection("127.0.0.1", counter.door.tls_port, ssl=trusting()))
    assert (await client.line()).startswith(b"+OK")
    assert (await client.ask(b"USER " + ANN.encode())).startswith(b"+OK")
    assert (await client.ask(b"PASS " + PASSWORD.encode())).startswith(b"+OK")
    assert (await client.ask(b"QUIT")).startswith(b"+OK")
    client.writer.close()


async def test_a_user_has_so_many_sessions_and_no_more(opening: Opening) -> None:
    async with opening(connections_per_user=2) as counter:
        first, _ = await counter.ann(), await counter.ann()
        third = await counter.stranger()
        await third.command(b"USER " + ANN.encode())
        assert (await third.command(b"PASS " + PASSWORD.encode())).first.startswith(SYS_TEMP)
        await first.command(b"QUIT")
        await third.command(b"USER " + ANN.encode())
        assert (await third.command(b"PASS " + PASSWORD.encode())).is_ok


async def test_who_is_one_too_many_is_told_so(opening: Opening) -> None:
    async with opening(mailbox_connections=1) as counter:
        await counter.ann()
        assert (await counter.stranger()).greeting.startswith(SYS_TEMP)


async def test_a_large_letter_in_somebodys_slow_hands_keeps_nobody_waiting(counter: Counter) -> None:
    line = b"." + b"x" * 997
    raw = b"Subject: large\r\n\r\n" + (line + b"\r\n") * (30 * MIB // 1000)
    await counter.office.arrive(1, raw=raw)
    # Its reader takes no more than 128 KiB before somebody asks for them.
    slow = Client(*await asyncio.open_connection("127.0.0.1", counter.door.port))
    slow.say(b"USER %s\r\nPASS %s\r\nRETR 1\r\nNOOP\r\n" % (ANN.encode(), PASSWORD.encode()))
    other = await counter.ann()
    for _ in range(3):
        assert (await slow.line()).startswith(b"+OK")
    assert await slow.line() == b"+OK %d octets" % len(raw)
    assert (await other.command(b"TOP 1 1")).lines == [b"Subject: large", b"", line]
    assert (await other.command(b"STAT")).first == b"+OK 1 %d" % len(raw)
    assert [await slow.line(), await slow.line()] == [b"Subject: large", b""]
    for _ in range(30 * MIB // 1000):
        assert await slow.line() == b"." + line
    assert await slow.line() == b"."
    assert (await slow.line()).startswith(b"+OK")
    slow.writer.close()


async def test_a_fault_of_ours_is_logged_and_answered_and_the_session_goes_on(counter: Counter) -> None:
    (letter,) = await counter.office.arrive(1)
    wire = await counter.ann()
    await counter.office.room.database["bodies"].update_one({"_id": letter.partition("-")[0]}, {"$unset": {"raw": ""}})
    with structlog.testing.capture_logs() as lines:
        assert (await wire.command(b"RETR 1")).first.startswith(SYS_TEMP)
    assert [line["event"] for line in lines] == ["command_failed"]
    assert (await wire.command(b"STAT")).is_ok


async def test_whatever_octets_come_there_is_an_answer_and_no_fault(counter: Counter) -> None:
    await counter.office.arrive(3, raw=b"Subject: x\r\n\r\n.\r\n")
    dice = random.Random(11)
    with structlog.testing.capture_logs() as lines:
        for _ in range(60):
            wire = await (counter.ann() if dice.random() < 0.7 else counter.stranger())
            await wire.send(_noise(dice) + b"\r\nCAPA\r\nQUIT\r\n")
            said = await _all(wire)
            assert [line for line in said if line.startswith((b"+OK", b"-ERR"))], said
            wire.close()
    faults = {"command_failed", "session_failed", "answer_broken_off", "update_failed"}
    assert not [line for line in lines if line["event"] in faults]
    assert (await (await counter.ann()).command(b"STAT")).is_ok


def _noise(dice: random.Random) -> bytes:
    """Commands and what is none, from a few octets to some thousand."""
    verbs = (b"RETR 1", b"TOP 1 2", b"LIST", b"UIDL 2", b"RSET", b"USER a", b"PASS b", b"LANG", b"AUTH PLAIN", b"UTF8")
    noise = bytearray()
    for _ in range(dice.randint(1, 12)):
        line = bytearray(dice.choice(verbs))
        for _ in range(dice.randint(0, 3)):
            at = dice.randint(0, len(line))
            line[at : at + dice.randint(0, 2)] = dice.randbytes(dice.choice((1, 2, 300)))
        noise += line + dice.choice((b"\r\n", b"\n", b"\r", b"\r\n"))
    return bytes(noise)


async def _all(wire: PopWire) -> list[bytes]:
    said = []
    try:
        while True:
            said.append(await wire.line())
    except Closed:
        return said
