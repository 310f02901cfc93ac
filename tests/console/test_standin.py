"""The stand-in main server changes nothing, and behaves as it is told."""

import asyncio
import contextlib
import json
import smtplib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.standin import Standin, behave, receipt_id, serve

AWKWARD = {
    "plain": b"Subject: x\r\n\r\nbody\r\n",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n...\r\n.x\r\n",
    "long line": b"Subject: x\r\n\r\n" + b"y" * 200_000 + b"\r\n",
    "nul and 8 bit": b"Subject: x\r\n\r\n\x00\xff\xfe\r\n",
    "bare cr": b"Subject: x\r\n\r\na\rb\r\n",
    "no header": b"\r\n",
    "nothing": b"",
    "5 MB": b"Subject: x\r\n\r\n" + b"line\r\n" * 900_000,
}


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[Standin]:
    server = await serve("127.0.0.1", 0, tmp_path)
    yield server
    await server.stop()


async def talk(standin: Standin, sent: bytes) -> bytes:
    """Send everything at once, as a pipelining client may, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", standin.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def session(letter: bytes) -> bytes:
    stuffed = (b"\r\n" + letter).replace(b"\r\n.", b"\r\n..")[2:]
    return b"EHLO t\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n" + stuffed + b".\r\nQUIT\r\n"


def kept(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "letters").glob("*.eml"))]


@pytest.mark.parametrize("shape", AWKWARD)
async def test_letter_is_kept_byte_for_byte(standin: Standin, tmp_path: Path, shape: str) -> None:
    said = await talk(standin, session(AWKWARD[shape]))
    assert b"250 2.0.0 Ok: kept" in said
    assert kept(tmp_path) == [AWKWARD[shape]]


async def test_letters_list_tells_envelope_and_receipt(standin: Standin, tmp_path: Path) -> None:
    await talk(standin, session(b"Received: from a by b with ESMTP\r\n\tid 01J0000000; now\r\nSubject: x\r\n\r\n"))
    (line,) = (tmp_path / "letters.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert letter["mail_from"] == "a@x.test"
    assert letter["rcpt_tos"] == ["b@y.test"]
    assert letter["receipt_id"] == "01J0000000"
    assert (tmp_path / letter["file"]).stat().st_size == letter["size"]


async def test_sequence_goes_on_after_a_restart(standin: Standin, tmp_path: Path) -> None:
    await talk(standin, session(b"1\r\n"))
    await standin.stop()
    again = await serve("127.0.0.1", 0, tmp_path)
    await talk(again, session(b"2\r\n"))
    await again.stop()
    assert kept(tmp_path) == [b"1\r\n", b"2\r\n"]


async def test_away_closes_the_port_and_every_connection(standin: Standin, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", standin.port)
    await reader.readline()
    behave(tmp_path, mode="away")
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", standin.port)
    behave(tmp_path, mode="normal")
    await asyncio.sleep(0.3)
    assert b"kept" in await talk(standin, session(b"1\r\n"))


@pytest.mark.parametrize("at", ["mail", "rcpt", "data", "dot"])
async def test_refusal_comes_where_it_was_asked_for(standin: Standin, tmp_path: Path, at: str) -> None:
    behave(tmp_path, mode="refuse", code=451, text="4.3.0 later", at=at)
    await asyncio.sleep(0.3)

    def send() -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", standin.port, local_hostname="t", timeout=10) as client:
            client.ehlo()
            steps = {
                "mail": lambda: client.mail("a@x.test"),
                "rcpt": lambda: client.rcpt("b@y.test"),
                "data": lambda: client.docmd("DATA"),
                "dot": lambda: client.data(b"1\r\n"),
            }
            for name in steps if at != "dot" else ("mail", "rcpt", "dot"):
                answer = steps[name]()
                if name == at:
                    return answer
                assert answer[0] == 250
        raise AssertionError

    assert await asyncio.to_thread(send) == (451, b"4.3.0 later")
    assert kept(tmp_path) == []


async def test_slow_waits_before_each_reply(standin: Standin, tmp_path: Path) -> None:
    behave(tmp_path, mode="slow", seconds=0.1)
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await talk(standin, session(b"1\r\n"))
    assert 0.7 <= time.monotonic() - began < 5


def test_receipt_id_is_that_of_the_first_header_only() -> None:
    assert receipt_id(b"Received: by x id 01ABC; d\r\nReceived: by y id 02DEF\r\n\r\n") == "01ABC"
    assert receipt_id(b"Received: by x; d\r\nReceived: by y id 02DEF\r\n\r\n") is None
    assert receipt_id(b"Subject: id 01ABC\r\n\r\n") is None
