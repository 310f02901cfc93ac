"""Addresses and parameters: what is understood, what is refused, and with which words."""

import time

import pytest

from services.ingest import policy, replies
from services.ingest.policy import Sender
from services.ingest.replies import Refused, Reply

LIMIT = 1000


def sender(argument: str | bytes, *, is_extended: bool = True) -> Sender:
    raw = argument.encode() if isinstance(argument, str) else argument
    return policy.sender(raw, limit_bytes=LIMIT, is_extended=is_extended)


def recipient(argument: str | bytes, *, is_utf8: bool = False) -> tuple[str, str]:
    raw = argument.encode() if isinstance(argument, str) else argument
    return policy.recipient(raw, is_utf8=is_utf8)


def refusal_of_sender(argument: str | bytes, *, is_extended: bool = True) -> Reply:
    with pytest.raises(Refused) as refused:
        sender(argument, is_extended=is_extended)
    return refused.value.reply


def refusal_of_recipient(argument: str | bytes, *, is_utf8: bool = False) -> Reply:
    with pytest.raises(Refused) as refused:
        recipient(argument, is_utf8=is_utf8)
    return refused.value.reply


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<a@b.test>", "a@b.test"),
        ("from: <a@b.test>", "a@b.test"),
        ("FROM:<A@B.Test>", "A@B.Test"),
        ("FROM:<>", ""),
        ("FROM: <>", ""),
        ("FROM:a@b.test", "a@b.test"),
        ("FROM:<@relay.test,@other.test:a@b.test>", "a@b.test"),
        ("FROM:<a.b+c=d@b-c.test>", "a.b+c=d@b-c.test"),
        ("FROM:<a..b.@docomo.test>", "a..b.@docomo.test"),
        ("FROM:<a@under_score.test>", "a@under_score.test"),
        ("FROM:<a@localhost>", "a@localhost"),
        ('FROM:<"a b"@b.test>', '"a b"@b.test'),
        ('FROM:<"a@b>\\"c"@b.test>', '"a@b>\\"c"@b.test'),
        ("FROM:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ("FROM:<!#$%&'*+-/=?^_`{|}~@b.test>", "!#$%&'*+-/=?^_`{|}~@b.test"),
    ],
)
def test_senders_that_are_understood(argument: str, address: str) -> None:
    assert sender(argument) == Sender(address, 0, False)


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", replies.BAD_MAIL),
        ("<a@b.test>", replies.BAD_MAIL),
        ("TO:<a@b.test>", replies.BAD_MAIL),
        ("FROM:", replies.BAD_SENDER),
        ("FROM:<a>", replies.BAD_SENDER),
        ("FROM:<a@b.test", replies.BAD_SENDER),
        ("FROM:a@b.test>", replies.BAD_SENDER),
        ("FROM:<a@>", replies.BAD_SENDER),
        ("FROM:<@b.test>", replies.BAD_SENDER),
        ("FROM:<a b@b.test>", replies.BAD_SENDER),
        ("FROM:<a@b@c.test>", replies.BAD_SENDER),
        ("FROM:<a@b..test>", replies.BAD_SENDER),
        ("FROM:<a@.test>", replies.BAD_SENDER),
        ("FROM:<a@b.test>SIZE=1", replies.BAD_SENDER),
        ("FROM:<a@[127.0.0.300]>", replies.BAD_SENDER),
        ("FROM:<a@[IPv6:zz]>", replies.BAD_SENDER),
        ("FROM:<a\0@b.test>", replies.BAD_SENDER),
        ("FROM:<a\r@b.test>", replies.BAD_SENDER),
        ('FROM:<"a@b.test>', replies.BAD_SENDER),
        (b"FROM:<\xff@b.test>", replies.NOT_UTF8),
        ("FROM:<jürgen@b.test>", replies.NEEDS_SMTPUTF8),
        ("FROM:<a@bücher.test>", replies.NEEDS_SMTPUTF8),
        ("FROM:<a@b.test> SIZE=1001", replies.TOO_BIG),
        ("FROM:<a@b.test> SIZE=" + "9" * 20, replies.TOO_BIG),
        ("FROM:<a@b.test> SIZE=" + "9" * 21, replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> SIZE", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> SIZE=-1", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> SIZE=1 SIZE=1", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> SIZE=١", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> BODY=9BIT", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> BODY", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> SMTPUTF8=yes", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> =x", replies.BAD_ARGUMENT),
        ("FROM:<a@b.test> RET=FULL", replies.UNKNOWN_PARAMETER),
        ("FROM:<a@b.test> AUTH=<>", replies.UNKNOWN_PARAMETER),
        ("FROM:<a@b.test> BODY=BINARYMIME", replies.BAD_ARGUMENT),
    ],
)
def test_senders_that_are_refused(argument: str | bytes, reply: Reply) -> None:
    assert refusal_of_sender(argument) is reply


def test_parameters_of_mail() -> None:
    assert sender("FROM:<a@b.test> SIZE=1000 BODY=8BITMIME") == Sender("a@b.test", 1000, False)
    assert sender("FROM:<a@b.test> body=7bit  size=0 ") == Sender("a@b.test", 0, False)
    assert sender("FROM:<jürgen@bücher.test> SMTPUTF8") == Sender("jürgen@bücher.test", 0, True)
    assert sender("FROM:<> SIZE=5") == Sender("", 5, False)


def test_parameters_need_ehlo() -> None:
    assert refusal_of_sender("FROM:<a@b.test> SIZE=10", is_extended=False) is replies.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    ("argument", "given", "address"),
    [
        ("TO:<Ann@Example.Test>", "Ann@Example.Test", "ann@example.test"),
        ("to: <ann+Tag@example.test> ", "ann+Tag@example.test", "ann+tag@example.test"),
        ("TO:<postmaster>", "postmaster", "postmaster"),
        ("TO:<PostMaster>", "PostMaster", "postmaster"),
        ('TO:<"ann"@example.test>', '"ann"@example.test', "ann@example.test"),
        ('TO:<"a\\nn"@example.test>', '"a\\nn"@example.test', "ann@example.test"),
        ('TO:<"Ann B"@example.test>', '"Ann B"@example.test', '"ann b"@example.test'),
    ],
)
def test_recipients_are_named_as_mailboxes_are(argument: str, given: str, address: str) -> None:
    assert recipient(argument) == (given, address)


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("FROM:<a@b.test>", replies.BAD_RCPT),
        ("TO:<>", replies.BAD_RECIPIENT),
        ("TO:<ann>", replies.BAD_RECIPIENT),
        ("TO:<postmaster2>", replies.BAD_RECIPIENT),
        ("TO:<ann@example.test> NOTIFY=NEVER", replies.UNKNOWN_PARAMETER),
        ("TO:<ann@example.test> ???", replies.BAD_ARGUMENT),
        ("TO:<jürgen@example.test>", replies.NEEDS_SMTPUTF8),
        (b"TO:<\xc3@example.test>", replies.NOT_UTF8),
        (b"TO:<\xed\xa0\x80@example.test>", replies.NOT_UTF8),  # a surrogate is no character
    ],
)
def test_recipients_that_are_refused(argument: str | bytes, reply: Reply) -> None:
    assert refusal_of_recipient(argument) is reply


def test_a_utf8_recipient_in_a_utf8_transaction() -> None:
    assert recipient("TO:<JÜRGEN@bücher.test>", is_utf8=True) == ("JÜRGEN@bücher.test", "jürgen@bücher.test")


@pytest.mark.parametrize(
    ("address", "separator", "expected"),
    [
        ("ann+tag@example.test", "+", "ann@example.test"),
        ("ann+a+b@example.test", "+", "ann@example.test"),
        ("ann+@example.test", "+", "ann@example.test"),
        ("ann-tag@example.test", "-", "ann@example.test"),
        ("ann@example.test", "+", None),
        ("ann@exa+mple.test", "+", None),
        ("+tag@example.test", "+", None),
        ("ann+tag@example.test", "", None),
        ('"ann+b c"@example.test', "+", None),
    ],
)
def test_the_user_without_the_tag(address: str, separator: str, expected: str | None) -> None:
    assert policy.without_tag(address, separator) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"", 0),
        (b"Received: a\r\nRECEIVED: b\r\nreceived: c\r\nSubject: x\r\n\r\nReceived: body\r\n", 3),
        (b"X-Received: a\r\nSubject: Received: b\r\n folded\r\n\tReceived: c\r\n", 0),
        (b"\r\nReceived: body\r\n", 0),
        (b"Subject: x\r\nReceived: a\r\n", 1),
    ],
)
def test_received_headers_are_counted_in_the_header_only(text: bytes, count: int) -> None:
    assert policy.count_received(b"\r\n" + text) == count


@pytest.mark.parametrize(
    "argument",
    [
        "FROM:<" + "a." * 2040 + ">",
        "FROM:<a@" + "b." * 2040 + ">",
        'FROM:<"' + "\\a" * 2040 + ">",
        "FROM:" + " " * 4000 + "x",
        "FROM:<a@b.test>" + " " * 4000 + "\0",
        "FROM:<" + "@a" * 2040,
        "FROM:<@" + "a," * 2040,
        "FROM:<a@[" + "1" * 4000,
    ],
)
def test_no_address_takes_long(argument: str) -> None:
    began = time.process_time()
    refusal_of_sender(argument)
    assert time.process_time() - began < 0.1
