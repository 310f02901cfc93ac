"""LIST in all its forms, LSUB and STATUS."""

import pytest

from services.store.imap.commands import Command, List, Lsub, Status
from tests.store.imap.parse.reading import answer, read


def _list(*patterns: str, selecting: str = "", returning: str = "", **rest: object) -> List:
    chosen, returned = frozenset(selecting.split()), frozenset(returning.split())
    return List("", patterns, chosen, returned, is_extended=True, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wire", "command"),
    [
        (b'LIST "" ""', List("", ("",))),
        (b"LIST /usr/staff/jones %", List("/usr/staff/jones", ("%",))),
        (b'LIST "" *', List("", ("*",))),
        (b'LIST "" INBOX/%]', List("", ("INBOX/%]",))),
        (b"LIST {0+}\r\n {3}\r\na b", List("", ("a b",))),
        (b'LIST "" "Entw&APw-rfe/*"', List("", ("Entwürfe/*",))),
        (b'LIST "" "Entw\xc3\xbcrfe"', List("", ("Entwürfe",))),
        # No names, so nothing will match.
        (b'LIST "" "a&b*"', List("", ("a&b*",))),
        (b'LIST "" "\xff"', List("", ("\ufffd",))),
        (b'LIST () "" "*"', _list("*")),
        (b'list (subscribed) "" "*" return (special-use)', _list("*", selecting="SUBSCRIBED", returning="SPECIAL-USE")),
        (b'LIST (SPECIAL-USE) "" "*"', _list("*", selecting="SPECIAL-USE")),
        (b'LIST "" "*" RETURN (CHILDREN SUBSCRIBED)', _list("*", returning="CHILDREN SUBSCRIBED")),
        (b'LIST "" "*" RETURN ()', _list("*")),
        (b'LIST "" ("INBOX" Drafts "Sent/%")', _list("INBOX", "Drafts", "Sent/%")),
        (
            b'LIST (SUBSCRIBED RECURSIVEMATCH REMOTE) "" %',
            _list("%", selecting="SUBSCRIBED RECURSIVEMATCH REMOTE"),
        ),
        (
            b'LIST "" % RETURN (STATUS (MESSAGES unseen MESSAGES) CHILDREN)',
            _list("%", returning="CHILDREN", status=("MESSAGES", "UNSEEN")),
        ),
        (b'LSUB "#news." "comp.mail.*"', Lsub("#news.", "comp.mail.*")),
        (
            b"STATUS blurdybloop (UIDNEXT MESSAGES)",
            Status("blurdybloop", ("UIDNEXT", "MESSAGES")),
        ),
        (
            b"STATUS inbox (RECENT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID)",
            Status(
                "INBOX",
                ("RECENT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT", "MAILBOXID"),
            ),
        ),
    ],
)
def test_listing_is_understood(wire: bytes, command: Command) -> None:
    assert read(wire) == command


@pytest.mark.parametrize(
    "wire",
    [
        b"LIST",
        b'LIST ""',
        b'LIST "" * x',
        b'LIST "" ()',
        b'LIST (FROB) "" *',
        b'LIST (RECURSIVEMATCH) "" *',
        b'LIST (RECURSIVEMATCH REMOTE) "" *',
        b'LIST (SUBSCRIBED "" *',
        b'LIST "" * RETURN',
        b'LIST "" * RETURN (FROB)',
        b'LIST "" * RETURN (STATUS)',
        b'LIST "" * RETURN (STATUS ())',
        b'LIST "" * RETURN (STATUS (FROB))',
        b'LIST "" * RETURN (CHILDREN) x',
        b'LSUB ""',
        b'LSUB "" (a b)',
        b"STATUS x",
        b"STATUS x ()",
        b"STATUS x MESSAGES",
        b"STATUS x (FROB)",
        b"STATUS x (MESSAGES",
    ],
)
def test_what_is_no_listing_is_bad(wire: bytes) -> None:
    assert answer(wire) == "BAD"


def test_patterns_are_bounded() -> None:
    assert answer(b'LIST "" (%b)' % b" ".join([b"x*"] * 101)) == "NO [LIMIT]"
    assert answer(b'LIST "" "%b"' % (b"*" * 2000)) == "NO [LIMIT]"
