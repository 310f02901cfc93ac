"""What senders are told of a failure: each field where RFC 3464 wants it, whatever strangers wrote into it."""

import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.forwarder.notice import (
    LONGEST_LINE,
    MOST_HEADER_BYTES,
    Failure,
    build,
    header_of,
    is_answerable,
    status_code,
)

RECEIVED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HEADER = (
    b"Received: from elsewhere.test ([192.0.2.7])\r\n\tby understudy.test with ESMTP id 01M83M4M2S4FKB1DHMAYBXRZWR;\r\n"
    b"\tSun, 01 Mar 2026 12:00:00 +0000\r\nFrom: Sender <sender@elsewhere.test>\r\nSubject: Lunch\r\n"
)
PLAIN = Failure(
    receipt_id="01M83M4M2SABCDEFGHJKMNPQRS",
    hostname="understudy.test",
    sender="sender@elsewhere.test",
    recipient="ann@example.test",
    remote="main.example.test",
    received_at=RECEIVED,
    failed_at=RECEIVED + timedelta(days=30),
    tried_at=RECEIVED + timedelta(days=29),
    code=550,
    text="5.1.1 No such user",
    is_expired=False,
    is_unknown=False,
    head=HEADER + b"\r\nThe body is nobody's business.\r\n",
)
SILENT = replace(PLAIN, code=0, text="cannot connect: Connection refused", is_expired=True)


def _parsed(failure: Failure) -> EmailMessage:
    """The notice as a mail program reads it; its defects fail the test."""
    message = BytesParser(policy=email.policy.default.clone(raise_on_defect=False)).parsebytes(build(failure))
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def _parts(message: EmailMessage) -> list[Any]:
    assert (message.get_content_type(), message["Content-Type"].params["report-type"]) == (
        "multipart/report",
        "delivery-status",
    )
    parts = list(message.iter_parts())
    kinds = [part.get_content_type() for part in parts]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    return parts


def _status_fields(failure: Failure) -> tuple[Message, Message]:
    """Of the message, and of its recipient."""
    blocks = _parts(_parsed(failure))[1].get_payload()
    of_message, of_recipient = (block for block in blocks if block.keys())
    return of_message, of_recipient


def _unfolded(value: str) -> str:
    return re.sub(r"\r?\n[ \t]", " ", value)


def test_the_header_says_what_it_is_and_to_whom() -> None:
    message = _parsed(PLAIN)
    assert message["From"] == "Mail Delivery System <postmaster@understudy.test>"
    assert message["To"] == "sender@elsewhere.test"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<01M83M4M2SABCDEFGHJKMNPQRS@understudy.test>"
    assert message["Date"].datetime == PLAIN.failed_at
    assert message["MIME-Version"] == "1.0"
    assert "id 01M83M4M2SABCDEFGHJKMNPQRS" in message["Received"]
    assert message["Return-Path"] is None
    assert len(message.keys()) == len(set(message.keys()))


def test_the_status_says_everything_that_is_known() -> None:
    of_message, of_recipient = _status_fields(PLAIN)
    assert dict(of_message.items()) == {
        "Reporting-MTA": "dns; understudy.test",
        "Arrival-Date": "Sun, 01 Mar 2026 12:00:00 +0000",
    }
    assert dict(of_recipient.items()) == {
        "Final-Recipient": "rfc822; ann@example.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; main.example.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
        "Last-Attempt-Date": "Mon, 30 Mar 2026 12:00:00 +0000",
    }


def test_where_no_server_said_anything_none_is_named() -> None:
    _, of_recipient = _status_fields(replace(SILENT, tried_at=None))
    assert dict(of_recipient.items()) == {
        "Final-Recipient": "rfc822; ann@example.test",
        "Action": "failed",
        "Status": "4.4.7",
        "Diagnostic-Code": "x-understudy; cannot connect: Connection refused",
    }


@pytest.mark.parametrize(
    ("code", "text", "is_expired", "is_unknown", "status"),
    [
        (550, "5.1.1 No such user", False, False, "5.1.1"),
        (550, "5.7.1", False, False, "5.7.1"),
        (554, "5.123.456 Many digits\n5.123.456 and lines", True, False, "5.123.456"),
        (451, "4.7.1 Later", True, False, "4.7.1"),
        (550, "No such user", False, False, "5.0.0"),
        (550, "4.1.1 of another class", False, False, "5.0.0"),
        (550, "5.1.1.1 is none", False, False, "5.0.0"),
        (550, "5.1234.1 is none", False, False, "5.0.0"),
        (550, "see 5.1.1", False, False, "5.0.0"),
        (450, "Later", True, False, "4.4.7"),
        (550, "2.0.0 Ok", True, False, "4.4.7"),
        (0, "cannot connect", True, False, "4.4.7"),
        (0, "5.1.1 we say", False, False, "5.0.0"),
        (0, "the user has no target server any more", False, False, "5.0.0"),
        (0, "connection lost", False, True, "4.4.2"),
        (0, "connection lost", True, True, "4.4.2"),
    ],
)
def test_the_status_code_is_the_servers_or_says_why_we_gave_up(
    code: int, text: str, is_expired: bool, is_unknown: bool, status: str
) -> None:
    failure = replace(PLAIN, code=code, text=text, is_expired=is_expired, is_unknown=is_unknown)
    assert status_code(failure) == status
    assert _status_fields(failure)[1]["Status"] == status


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (PLAIN, ["<ann@example.test>", "550 5.1.1 No such user", "will not be tried again", "mail server said"]),
        (SILENT, ["The time for delivering it is over", "The reason:", "cannot connect: Connection refused"]),
        (replace(SILENT, is_unknown=True), ["it may have arrived all the same"]),
    ],
)
def test_the_words_are_for_a_layperson(failure: Failure, said: list[str]) -> None:
    words = _parts(_parsed(failure))[0].get_content()
    flat = " ".join(words.split())
    for one in (*said, "Sun, 01 Mar 2026", "reach the recipient in another way"):
        assert one in flat
    assert max(map(len, words.splitlines())) <= 78


def test_the_letters_header_comes_back_and_not_its_body() -> None:
    part = _parts(_parsed(PLAIN))[2]
    assert part.get_payload(decode=True) == HEADER
    assert b"nobody's business" not in build(PLAIN)


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: Gr\xfc\xdfe\r\n",
        b"Subject: Gr\xc3\xbc\xc3\x9fe aus K\xc3\xb6ln, f\xc3\xbcr dich und f\xc3\xbcr mich und noch viele mehr\r\n",
        b"X-Odd: a\0b\rc\nd =20 \t\r\n",
        b"X-Long: " + b"x" * 5000 + b"\r\n",
        b".\r\n..\r\nFrom sender\r\n--\r\n",
        b"Subject: every byte " + bytes(n for n in range(256) if n not in (10, 13)) + b"\r\n",
    ],
    ids=["latin-1", "utf-8", "controls", "long", "dots", "all"],
)
def test_a_header_comes_back_byte_for_byte_and_fits_any_relay(header: bytes) -> None:
    failure = replace(PLAIN, head=HEADER + header + b"\r\nbody")
    assert _parts(_parsed(failure))[2].get_payload(decode=True) == HEADER + header
    _assert_fits_any_relay(build(failure))


def _assert_fits_any_relay(raw: bytes) -> None:
    """RFC 5321 section 4.5.3.1.6, RFC 5322 section 2.3: 7-bit, CRLF only, no long lines."""
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line or len(line) > LONGEST_LINE]


@pytest.mark.parametrize(
    ("head", "header"),
    [
        (b"", b""),
        (b"A: b\r\n\r\nbody", b"A: b\r\n"),
        (b"A: b\r\nC: d\r\n", b"A: b\r\nC: d\r\n"),
        (b"A: b\r\nC: cut", b"A: b\r\n"),
        (b"no line end", b"no line end"),
        (b"A: b\r\n" * 20_000, (b"A: b\r\n" * 20_000)[: MOST_HEADER_BYTES // 6 * 6]),
        (b"x" * 100_000, b"x" * MOST_HEADER_BYTES),
    ],
)
def test_of_a_header_whole_lines_are_kept_up_to_a_bound(head: bytes, header: bytes) -> None:
    assert header_of(head) == header
    assert _parts(_parsed(replace(PLAIN, head=head)))[2].get_payload(decode=True) == header


def test_the_same_failure_makes_the_same_bytes() -> None:
    assert build(PLAIN) == build(replace(PLAIN))
    assert build(PLAIN) != build(replace(PLAIN, receipt_id="01M83M4M2SBBCDEFGHJKMNPQRS"))


@pytest.mark.parametrize(
    "text",
    [
        "5.1.1 No\r\nBcc: all@example.test\r\n\r\nbody",
        "5.1.1 first\n5.1.1 second\n5.1.1 third",
        "x" * 10_000,
        "word " * 2_000,
        "Grüße, \u2028\x85\x0b\x1c und \udcff mehr",
        "\0\x1b[31mred\x7f",
        "--=_01M83M4M2SABCDEFGHJKMNPQRS--",
        "",
        "   ",
        "$forward.state",
    ],
)
def test_a_hostile_reply_stays_in_its_field(text: str) -> None:
    failure = replace(PLAIN, text=text)
    of_message, of_recipient = _status_fields(failure)
    assert len(of_message.keys()) == 2
    assert of_recipient.keys() == _status_fields(PLAIN)[1].keys()
    assert _unfolded(of_recipient["Diagnostic-Code"]).startswith("smtp; 550")
    assert _parsed(failure).keys() == _parsed(PLAIN).keys()
    _assert_fits_any_relay(build(failure))


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ('"a b"@elsewhere.test', '<"a b"@elsewhere.test>'),
        ("jürgen@bücher.example", "<jürgen@bücher.example>"),
        ("a@b\r\nBcc: all@example.test", "undisclosed-recipients:;"),
        ("a\u2028b@elsewhere.test", "undisclosed-recipients:;"),
        ("x" * 10_000 + "@elsewhere.test", "undisclosed-recipients:;"),
    ],
)
def test_a_sender_stays_in_his_field(sender: str, shown: str) -> None:
    raw = build(replace(PLAIN, sender=sender))
    head = raw.partition(b"\r\n\r\n")[0].decode()
    assert f"\r\nTo: {shown}\r\n" in head
    assert "\r\nBcc:" not in head
    assert max(map(len, raw.split(b"\r\n"))) <= LONGEST_LINE


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("ann@example.test", "rfc822; ann@example.test"),
        ("jürgen@bücher.example", "utf-8; j\\x{FC}rgen@b\\x{FC}cher.example"),
        ("ü+\\=@x", "utf-8; \\x{FC}\\x{2B}\\x{5C}\\x{3D}@x"),
        ("a@b\r\nAction: delivered", "rfc822; a@b Action: delivered"),
        ("x" * 64 + "@" + "y" * 60 + "." + "z" * 60, f"rfc822; {'x' * 64}@{'y' * 60}.{'z' * 60}"),
        ("ü" * 32 + "@" + "ü" * 127, "utf-8; " + "\\x{FC}" * 32 + "@" + "\\x{FC}" * 127),
    ],
)
def test_the_recipient_is_typed_and_whole(recipient: str, shown: str) -> None:
    failure = replace(PLAIN, recipient=recipient)
    of_recipient = _status_fields(failure)[1]
    assert _unfolded(of_recipient["Final-Recipient"]) == shown
    assert of_recipient["Action"] == "failed"
    _assert_fits_any_relay(build(failure))


@pytest.mark.parametrize("name", ["[2001:db8::1]", "192.0.2.7", "main.example.test"])
def test_a_main_server_is_named_by_its_host(name: str) -> None:
    assert _status_fields(replace(PLAIN, remote=name))[1]["Remote-MTA"] == f"dns; {name}"


def test_our_own_name_breaks_no_header() -> None:
    message = _parsed(replace(PLAIN, hostname="odd host\r\nBcc: <x>"))
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize(
    ("sender", "answerable"),
    [
        ("sender@elsewhere.test", True),
        ('"a b"@elsewhere.test', True),
        ("jürgen@bücher.example", True),
        ("", False),
        ("nobody", False),
        ("a@b\r\nRCPT TO:<all@example.test>", False),
        ("a@b\n", False),
        ("a\0@b", False),
        ("x" * 2_000 + "@elsewhere.test", False),
    ],
)
def test_only_what_is_an_address_is_answered(sender: str, answerable: bool) -> None:
    assert is_answerable(sender) is answerable


@settings(deadline=None)
@given(
    text=st.text(max_size=2000),
    sender=st.text(max_size=200),
    recipient=st.text(min_size=1, max_size=100),
    head=st.binary(max_size=2000),
    code=st.integers(0, 599),
)
def test_whatever_strangers_write_the_notice_keeps_its_shape(
    text: str, sender: str, recipient: str, head: bytes, code: int
) -> None:
    failure = replace(PLAIN, text=text, sender=sender, recipient=recipient, head=head, code=code)
    raw = build(failure)
    top = raw.partition(b"\r\n\r\n")[0]
    assert [line.partition(b":")[0] for line in top.split(b"\r\n") if line[:1] not in b" \t"] == [
        line.partition(b":")[0] for line in build(PLAIN).partition(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] != b"\t"
    ]
    # Only an address that is not ASCII is more than seven bits, and only in To.
    _assert_fits_any_relay(re.sub(rb"\r\nTo: [^\r\n]*", b"", raw, count=1))
    of_message, of_recipient = _status_fields(replace(failure, sender=PLAIN.sender))
    assert len(of_message.keys()) == 2
    assert list(of_recipient.keys())[:3] == ["Final-Recipient", "Action", "Status"]
    assert of_recipient["Action"] == "failed"
    assert _parts(_parsed(replace(failure, sender=PLAIN.sender)))[2].get_payload(decode=True) == header_of(head)
