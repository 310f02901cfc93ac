"""ENVELOPE, from its addresses to its dates. The answers to odd addresses are Dovecot's."""

import pytest

from services.store.mime.rendering import render

ADDRESSES = [
    (b"ann@x.test", b'((NIL NIL "ann" "x.test"))'),
    (b"Ann <ann@x.test>", b'(("Ann" NIL "ann" "x.test"))'),
    (b'"Ann B. Case" <ann@x.test>', b'(("Ann B. Case" NIL "ann" "x.test"))'),
    (b"Ann B. Case <ann@x.test>", b'(("Ann B. Case" NIL "ann" "x.test"))'),
    (b"ann@x.test (Ann)", b'(("Ann" NIL "ann" "x.test"))'),
    (b"a@x.test, b@x.test", b'((NIL NIL "a" "x.test")(NIL NIL "b" "x.test"))'),
    (b"a@x.test,\r\n b@x.test", b'((NIL NIL "a" "x.test")(NIL NIL "b" "x.test"))'),
    # RFC 5322, appendix A.1.2 and A.1.3.
    (b'"Joe Q. Public" <john.q.public@example.com>', b'(("Joe Q. Public" NIL "john.q.public" "example.com"))'),
    (
        b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
        b'((NIL NIL "boss" "nil.test")({16}\r\nGiant; "Big" Box NIL "sysservices" "example.net"))',
    ),
    (
        b"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
        b'((NIL NIL "A Group" NIL)("Ed Jones" NIL "joe" "where.test")(NIL NIL "joe" "where.test")'
        b'("John" NIL "jdoe" "one.test")(NIL NIL NIL NIL))',
    ),
    (b"Undisclosed recipients:;", b'((NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL))'),
    # Appendix A.5 and A.6.
    (
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        b'(("Pete" NIL "pete" "silly.test"))',
    ),
    (
        b"Mary Smith <@node.test,@b.test:mary@example.net>",
        b'(("Mary Smith" "@node.test,@b.test" "mary" "example.net"))',
    ),
    (b"jdoe@test   . example", b'((NIL NIL "jdoe" "test.example"))'),
    (b"a@[192.0.2.1]", b'((NIL NIL "a" "[192.0.2.1]"))'),
    (b'"a b"@x.test', b'((NIL NIL "a b" "x.test"))'),
    (b"..a..b.@x.test", b'((NIL NIL "..a..b." "x.test"))'),
    (b"=?utf-8?q?J=C3=BCrgen?= <j@x.test>", b'(("=?utf-8?q?J=C3=BCrgen?=" NIL "j" "x.test"))'),
    (b"J\xc3\xbcrgen <j@x.test>", b'(({7}\r\nJ\xc3\xbcrgen NIL "j" "x.test"))'),
    (b"J\xfcrgen <j@x.test>", b'(({6}\r\nJ\xfcrgen NIL "j" "x.test"))'),
    (b"j\xc3\xbc@x.test", b'((NIL NIL {3}\r\nj\xc3\xbc "x.test"))'),
    (b"user", b'((NIL NIL "user" "MISSING_DOMAIN"))'),
    (b"some words", b'(("some words" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
    (b"@x.test", b'((NIL NIL "MISSING_MAILBOX" "x.test"))'),
    (b"<>", b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
    (b"<a b@x.test>", b'((NIL NIL "a" "SYNTAX_ERROR"))'),
    (b"Ann <ann@x.test", b'(("Ann" NIL "ann" "SYNTAX_ERROR"))'),
    (b"", b"NIL"),
    (b"   ", b"NIL"),
    (b"(only a comment)", b"NIL"),
    (b"(", b"NIL"),
]


def envelope(header: bytes) -> bytes:
    return render(header + b"\r\n\r\n").envelope


@pytest.mark.parametrize(("value", "told"), ADDRESSES)
def test_addresses_are_told_as_they_are_written(value: bytes, told: bytes) -> None:
    assert envelope(b"To: " + value) == b"(NIL NIL NIL NIL NIL " + told + b" NIL NIL NIL NIL)"


def test_an_envelope_has_its_ten_fields() -> None:
    header = (
        b"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nSUBJECT : =?utf-8?q?x?=\r\n  y\r\nFrom: a@x.test\r\n"
        b"Sender: b@x.test\r\nReply-To: c@x.test\r\nTo: d@x.test\r\nCc: e@x.test\r\nBcc: f@x.test\r\n"
        b"In-Reply-To: <1@x.test>\r\n <2@x.test>\r\nMessage-ID: <3@x.test>"
    )
    people = b" ".join(b'((NIL NIL "%c" "x.test"))' % letter for letter in b"abcdef")
    assert envelope(header) == (
        b'("Mon, 1 Jan 2024 10:00:00 +0100" {15}\r\n=?utf-8?q?x?= y '
        + people
        + b' "<1@x.test> <2@x.test>" "<3@x.test>")'
    )


def test_sender_and_reply_to_are_from_where_they_are_missing_or_name_nobody() -> None:
    ann = b'((NIL NIL "ann" "x.test"))'
    assert envelope(b"From: ann@x.test\r\nSender:") == b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (ann, ann, ann)


def test_addresses_in_a_second_field_of_the_name_are_not_hidden() -> None:
    two = b'((NIL NIL "a" "x.test")(NIL NIL "b" "x.test"))'
    assert envelope(b"To: a@x.test\r\nTo: b@x.test") == b"(NIL NIL NIL NIL NIL %b NIL NIL NIL NIL)" % two


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b"  two\t words  ", b"{9}\r\ntwo words"),
        (b'say "x"', b'{7}\r\nsay "x"'),
        (b"gr\xc3\xbcn", b"{5}\r\ngr\xc3\xbcn"),
        (b"a\x00b", b"{5}\r\na\xef\xbf\xbdb"),
    ],
)
def test_a_subject_is_one_line_for_people(subject: bytes, told: bytes) -> None:
    assert envelope(b"Subject:" + subject) == b"(NIL " + told + b" NIL NIL NIL NIL NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b"Mon, 1 Jan 2024 23:59:59 -1200", "2024-01-01"),
        (b"1 jan 2024 00:00 +1400", "2024-01-01"),
        (b"Mon, 01 January 24 10:00:00 GMT", "2024-01-01"),
        (b"Mon,\r\n 1 Jan 99 10:00:00 +0000", "1999-01-01"),
        (b"1 Jan 102 10:00:00 +0000", "2002-01-01"),
        (b"29 Feb 2024 10:00:00 +0000", "2024-02-29"),
        (b"30 Feb 2024 10:00:00 +0000", None),
        (b"1 Foo 2024 10:00:00 +0000", None),
        (b"yesterday", None),
        (b"", None),
        (b"1 " * 5000, None),
    ],
)
def test_the_day_of_sending_is_the_one_written(value: bytes, day: str | None) -> None:
    assert render(b"Date: " + value + b"\r\n\r\n").sent_on == day
