"""What lines are understood as."""

import contextlib
import random

import pytest

from services.store.pop3.commands import (
    Auth,
    Capa,
    Command,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from services.store.pop3.parse import parse
from services.store.pop3.replies import BadCommand

UNDERSTOOD: dict[bytes, Command] = {
    b"CAPA": Capa(),
    b"capa": Capa(),
    b"QUIT ": Quit(),
    b"LANG": Lang(),
    b"LANG *": Lang("*"),
    b"lang en-GB": Lang("en-GB"),
    b"USER ann@example.test": User("ann@example.test"),
    b"USER  ann@example.test ": User("ann@example.test"),
    b"USER j\xc3\xbcrgen@example.test": User("jürgen@example.test"),
    b"USER j\xfcrgen@example.test": User("jürgen@example.test"),
    b"PASS secret": Pass("secret"),
    b"pass  two words ": Pass(" two words "),
    b"PASS \xe2\x82\xac": Pass("€"),
    b"PASS \xfc": Pass("ü"),
    b"AUTH PLAIN": Auth("PLAIN"),
    b"AUTH plain =": Auth("PLAIN", b""),
    b"AUTH PLAIN AGEAYg==": Auth("PLAIN", b"\0a\0b"),
    b"AUTH CRAM-MD5": Auth("CRAM-MD5"),
    b"STLS": Stls(),
    b"UTF8": Utf8(),
    b"STAT": Stat(),
    b"LIST": List(),
    b"LIST ": List(),
    b"LIST 1": List(1),
    b"LIST 007": List(7),
    b"UIDL": Uidl(),
    b"UIDL 12": Uidl(12),
    b"RETR 0": Retr(0),
    b"Dele 3": Dele(3),
    b"NOOP": Noop(),
    b"RSET": Rset(),
    b"TOP 1 0": Top(1, 0),
    b"TOP  1  10": Top(1, 10),
}

REFUSED = [
    *(b"", b" ", b"\t", b"X", b" STAT", b"STAT\t", b"ST\0AT", b"STAT\0", b"\xff\xfe", b"NOOP\rSTAT"),
    *(b"APOP a b", b"+OK", b"XTND", b"HELO a"),
    *(b"STAT 1", b"NOOP x", b"RSET 1", b"QUIT now", b"CAPA x", b"STLS x", b"UTF8 x"),
    *(b"LIST x", b"LIST -1", b"LIST +1", b"LIST 1 2", b"LIST 1.0", b"LIST \xb2"),
    *(b"LIST \xd9\xa1", b"LIST 1_0", b"LIST 0x1"),
    *(b"RETR", b"RETR ", b"RETR 1 2", b"RETR x", b"DELE", b"DELE *", b"DELE 1:2", b"UIDL 1 2"),
    *(b"TOP", b"TOP 1", b"TOP 1 x", b"TOP 1 -1", b"TOP 1 2 3", b"TOP x 1"),
    *(b"USER", b"USER ", b"USER a b", b"USER a\0b", b"PASS", b"PASS ", b"PASS a\0b"),
    *(b"AUTH", b"AUTH PLAIN *", b"AUTH PLAIN AGE", b"AUTH PLAIN A G", b"AUTH PLAIN \xff"),
    *(b"LANG x y", b"LANG toolonglanguage", b"LANG -", b"LANG \xff"),
]  # fmt: skip


@pytest.mark.parametrize("line", UNDERSTOOD, ids=repr)
def test_a_command_is_understood(line: bytes) -> None:
    assert parse(line) == UNDERSTOOD[line]


@pytest.mark.parametrize("line", REFUSED, ids=repr)
def test_what_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(BadCommand) as refused:
        parse(line)
    assert refused.value.reply.startswith(b"-ERR ")


def test_a_number_of_any_length_is_one_that_no_letter_has() -> None:
    assert parse(b"LIST " + b"9" * 200_000) == List(10**21 - 1)
    assert parse(b"LIST " + b"0" * 200_000 + b"1") == List(1)


def test_a_password_is_not_shown() -> None:
    for line in (b"PASS secret", b"AUTH PLAIN c2VjcmV0"):
        assert "secret" not in repr(parse(line))


def test_any_octets_are_a_command_or_refused() -> None:
    dice = random.Random(7)
    lines = list(UNDERSTOOD)
    for _ in range(20_000):
        line = bytearray(dice.choice(lines))
        for _ in range(dice.randint(1, 4)):
            at = dice.randint(0, len(line))
            line[at : at + dice.randint(0, 2)] = dice.randbytes(dice.randint(0, 3))
        with contextlib.suppress(BadCommand):
            assert isinstance(parse(bytes(line)), Command)
