"""Commands about mailboxes, and APPEND."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.store.imap.commands import (
    Append,
    Command,
    Create,
    Delete,
    Enable,
    GetQuota,
    GetQuotaRoot,
    Message,
    Rename,
    Resync,
    Select,
    Subscribe,
    Unsubscribe,
)
from tests.store.imap.parse.reading import answer, numbers, read

KNOWN = numbers(41, (43, 211), (214, 541))


@pytest.mark.parametrize(
    ("wire", "command"),
    [
        (b"ENABLE CONDSTORE x-good-idea", Enable(("CONDSTORE", "X-GOOD-IDEA"))),
        (b"ENABLE UTF8=ACCEPT", Enable(("UTF8=ACCEPT",))),
        (b"SELECT inbox", Select("INBOX")),
        (b"EXAMINE blurdybloop", Select("blurdybloop", is_read_only=True)),
        (b"SELECT {4}\r\nSent", Select("Sent")),
        (b"SELECT INBOX (condstore)", Select("INBOX", wants_condstore=True)),
        (b"SELECT x (QRESYNC (67890007 20050715194045000))", Select("x", resync=Resync(67890007, 20050715194045000))),
        (b"SELECT x (QRESYNC (1 2 41,43:211,214:541))", Select("x", resync=Resync(1, 2, KNOWN))),
        (
            b"SELECT x (QRESYNC (1 2 41,43:211,214:541 (1,3 2:9)) CONDSTORE)",
            Select("x", False, True, Resync(1, 2, KNOWN, (numbers(1, 3), numbers((2, 9))))),
        ),
        (b"SELECT x (QRESYNC (1 2 (1 2)))", Select("x", resync=Resync(1, 2, None, (numbers(1), numbers(2))))),
        (b"CREATE owatagusiam/", Create("owatagusiam")),
        (b"CREATE owatagusiam/blurdybloop", Create("owatagusiam/blurdybloop")),
        (b"CREATE Everything (USE (\\ALL \\Foo))", Create("Everything", ("\\All", "\\Foo"))),
        (b"CREATE x (USE ())", Create("x")),
        (b"DELETE foo/bar", Delete("foo/bar")),
        (b"RENAME INBOX old-mail", Rename("INBOX", "old-mail")),
        (b'RENAME "a b" Entw&APw-rfe', Rename("a b", "Entwürfe")),
        (b"SUBSCRIBE #news.comp.mail.mime", Subscribe("#news.comp.mail.mime")),
        (b"UNSUBSCRIBE #news.comp.mail.mime", Unsubscribe("#news.comp.mail.mime")),
        (b'GETQUOTA ""', GetQuota("")),
        (b"GETQUOTAROOT INBOX", GetQuotaRoot("INBOX")),
    ],
)
def test_command_about_a_mailbox_is_understood(wire: bytes, command: Command) -> None:
    assert read(wire) == command


@pytest.mark.parametrize(
    "wire",
    [
        b"ENABLE",
        b"ENABLE (x)",
        b"SELECT",
        b"SELECT a b",
        b"SELECT a ()",
        b"SELECT a (FROB)",
        b"SELECT a (QRESYNC)",
        b"SELECT a (QRESYNC (1))",
        b"SELECT a (QRESYNC (0 1))",
        b"SELECT a (QRESYNC (1 2 1:*))",
        b"SELECT a (QRESYNC (1 2 $))",
        b"SELECT a (QRESYNC (1 2 (1)))",
        b"SELECT a (QRESYNC (1 2 3 (1 2) 4))",
        b"SELECT a (QRESYNC (4294967296 1))",
        b"SELECT a (QRESYNC (1 9223372036854775808))",
        b"SELECT a%b",
        b'SELECT "a\0b"',
        b"CREATE",
        b"CREATE x (USE)",
        b"CREATE x (USE (Sent))",
        b"CREATE x (USE (\\Sent) USE (\\Junk))",
        b"CREATE x (FROB (\\Sent))",
        b"CREATE x ()",
        b"RENAME x",
        b"RENAME x y z",
        b"DELETE",
        b"SUBSCRIBE x y",
        b"GETQUOTA",
        b"GETQUOTAROOT",
    ],
)
def test_what_is_no_such_command_is_bad(wire: bytes) -> None:
    assert answer(wire) == "BAD"


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b'SELECT "a&b"', "NO [CANNOT]"),
        (b'CREATE ""', "NO [CANNOT]"),
        (b"CREATE /", "NO [CANNOT]"),
        (b"CREATE a//", "NO [CANNOT]"),
        (b"RENAME a b/c//d", "NO [CANNOT]"),
        (b"APPEND /x {1}\r\nx", "NO [CANNOT]"),
        (b"COPY 1 a//b", "NO [CANNOT]"),
        (b"STATUS {3}\r\na\tb (MESSAGES)", "NO [CANNOT]"),
        (b"SETQUOTA x (STORAGE 512)", "NO [NOPERM]"),
        (b"SETQUOTA", "NO [NOPERM]"),
    ],
)
def test_what_can_never_be_done_is_answered_no(wire: bytes, said: str) -> None:
    assert answer(wire) == said


def test_name_is_utf8_once_it_was_enabled() -> None:
    assert read('SELECT "Entwürfe"'.encode(), is_utf8=True) == Select("Entwürfe")
    assert read(b"SELECT A&B", is_utf8=True) == Select("A&B")
    assert answer(b'SELECT "\xff"', is_utf8=True) == "NO [CANNOT]"


PACIFIC = timezone(timedelta(hours=-8))


@pytest.mark.parametrize(
    ("rest", "messages"),
    [
        (b" {3}\r\nabc", [Message(b"abc")]),
        (b" (\\SEEN $Junk \\seen) {3+}\r\nabc", [Message(b"abc", ("\\Seen", "$Junk"))]),
        (b" () {0}\r\n", [Message(b"")]),
        (
            b' "17-Jul-1996 02:44:25 -0800" {3}\r\nabc',
            [Message(b"abc", (), datetime(1996, 7, 17, 2, 44, 25, tzinfo=PACIFIC))],
        ),
        (
            b' (\\Draft) " 7-feb-2016 23:59:60 +0000" {3}\r\nabc',
            [Message(b"abc", ("\\Draft",), datetime(2016, 2, 7, 23, 59, 59, tzinfo=UTC))],
        ),
        (b" ~{4}\r\na\0\0b", [Message(b"a\0\0b")]),
        (b" {4}\r\na\0\0b", [Message(b"a\0\0b")]),
        (b" UTF8 (~{2}\r\n\xc3\xa9)", [Message(b"\xc3\xa9")]),
        (b" utf8 (~{2+}\r\n\xc3\xa9) ", [Message(b"\xc3\xa9")]),
        # RFC 3502.
        (b" {1}\r\na {1}\r\nb", [Message(b"a"), Message(b"b")]),
        (
            b" (\\Seen) {1}\r\na (x) {1+}\r\nb ~{1}\r\nc",
            [Message(b"a", ("\\Seen",)), Message(b"b", ("x",)), Message(b"c")],
        ),
    ],
)
def test_letters_are_appended(rest: bytes, messages: list[Message]) -> None:
    assert read(b"APPEND saved-messages" + rest) == Append("saved-messages", tuple(messages))


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b" abc",
        b' "abc"',
        b" (\\Seen)",
        b" (\\Recent) {1}\r\na",
        b" (\\Frob) {1}\r\na",
        b" (\\*) {1}\r\na",
        b" \\Seen {1}\r\na",
        b' "1-Jul-96 02:44:25 -0700" {1}\r\na',
        b' "31-Feb-1996 02:44:25 -0700" {1}\r\na',
        b' "01-Foo-1996 02:44:25 -0700" {1}\r\na',
        b' "01-Jul-1996 24:44:25 -0700" {1}\r\na',
        b' "01-Jul-1996 02:44:25 -2400" {1}\r\na',
        b' "01-Jul-1996 02:44:25 GMT" {1}\r\na',
        b' "01-Jan-0001 00:00:00 +0100" {1}\r\na',
        b' "31-Dec-9999 23:00:00 -0100" {1}\r\na',
        b" UTF8 {1}\r\na",
        b" UTF8 ()",
        b" UTF8 (~{1}\r\na ~{1}\r\nb)",
        b" UTF8 (~{1}\r\na",
        b" CATENATE (TEXT {1}\r\na)",
        b" {1}\r\na{1}\r\nb",
        b" {1}\r\na x",
    ],
)
def test_what_is_no_append_is_bad(rest: bytes) -> None:
    assert answer(b"APPEND x" + rest) == "BAD"


def test_time_of_a_letter_can_be_said_in_every_zone() -> None:
    command = read(b'APPEND x "01-Jan-0002 00:00:00 +2359" {1}\r\na')
    assert isinstance(command, Append)
    at = command.messages[0].at
    assert at is not None
    assert at.astimezone(UTC).year == 1
