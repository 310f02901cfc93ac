"""The header that we add, and the names of receipts."""

import re
from email.utils import parsedate_to_datetime

import pytest
from ulid import ULID

from services.ingest import received
from services.ingest.received import Receipt, Receipts
from shared.moments import from_rfc3339, utc_now

RECEIPT = Receipt("01ARZ3NDEKTSV4RRFFQ69G5FAV", "2026-03-01T09:08:07.006Z", "Sun, 01 Mar 2026 09:08:07 +0000")


def header(helo: str = "client.test", address: str = "192.0.2.1", recipient: str | None = None) -> str:
    return received.header(
        helo=helo,
        address=address,
        hostname="mx.example.test",
        protocol="ESMTPS",
        receipt=RECEIPT,
        recipient=recipient,
    ).decode()


def test_the_header_is_folded_and_says_who_when_and_as_what() -> None:
    assert header() == (
        "Received: from client.test ([192.0.2.1])\r\n"
        "\tby mx.example.test with ESMTPS id 01ARZ3NDEKTSV4RRFFQ69G5FAV;\r\n"
        "\tSun, 01 Mar 2026 09:08:07 +0000\r\n"
    )


def test_the_recipient_is_named_where_there_is_one() -> None:
    assert "id 01ARZ3NDEKTSV4RRFFQ69G5FAV\r\n\tfor <ann@example.test>;\r\n" in header(recipient="ann@example.test")


def test_ipv6_literals_are_marked() -> None:
    assert "([IPv6:2001:db8::1])" in header(address="2001:db8::1")


@pytest.mark.parametrize("helo", ["x\r\nBcc: y", "x) (y", "x;y", "x\0y", "jürgen", "x y", '"x"', "<x>"])
def test_a_clients_name_cannot_write_headers(helo: str) -> None:
    name = header(helo).removeprefix("Received: from ").partition(" ")[0]
    assert re.fullmatch(r"[A-Za-z0-9?:]+", name)
    assert len(header(helo).splitlines()) == 3


@pytest.mark.parametrize(
    ("is_extended", "is_tls", "is_utf8", "name"),
    [
        (False, False, False, "SMTP"),
        (True, False, False, "ESMTP"),
        (True, True, False, "ESMTPS"),
        (True, False, True, "UTF8SMTP"),
        (True, True, True, "UTF8SMTPS"),
        (False, True, False, "ESMTPS"),
    ],
)
def test_the_protocols_name(is_extended: bool, is_tls: bool, is_utf8: bool, name: str) -> None:
    assert received.protocol(is_extended=is_extended, is_tls=is_tls, is_utf8=is_utf8) == name


def test_receipts_are_ulids_that_only_grow() -> None:
    receipts = Receipts()
    ids = [receipts.new().id for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", name) for name in ids)


def test_a_receipt_says_one_time_in_three_ways() -> None:
    receipt = Receipts().new()
    moment = from_rfc3339(receipt.at)
    assert abs((utc_now() - moment).total_seconds()) < 5
    assert ULID.from_str(receipt.id).datetime == moment
    assert parsedate_to_datetime(receipt.date) == moment.replace(microsecond=0)


def test_two_processes_do_not_name_alike() -> None:
    assert not {Receipts().new().id for _ in range(10)} & {Receipts().new().id for _ in range(10)}
