"""Commands of every state and before login."""

import pytest

from services.store.imap.commands import (
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Expunge,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Unselect,
)
from services.store.imap.parse import BadCommand, Parsed, parse
from tests.store.imap.parse.reading import answer, read

BARE: tuple[tuple[bytes, Command], ...] = (
    (b"CAPABILITY", Capability()),
    (b"NOOP", Noop()),
    (b"LOGOUT", Logout()),
    (b"STARTTLS", StartTls()),
    (b"NAMESPACE", Namespace()),
    (b"IDLE", Idle()),
    (b"CHECK", Check()),
    (b"CLOSE", Close()),
    (b"UNSELECT", Unselect()),
    (b"EXPUNGE", Expunge()),
)


@pytest.mark.parametrize(("name", "command"), BARE)
def test_command_without_arguments_is_its_name_alone(name: bytes, command: Command) -> None:
    assert read(name) == read(name.lower()) == read(name + b" ") == command
    assert answer(name + b" x") == answer(name + b"x") == answer(name + b" {1}\r\nx") == "BAD"


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        (b"ID NIL", {}),
        (b"ID ()", {}),
        (b'ID ("name" "sodr" "vendor" "Pink Floyd")', {"name": "sodr", "vendor": "Pink Floyd"}),
        (b'ID ("os" NIL "name" {3}\r\nx"y)', {"os": None, "name": 'x"y'}),
        (b'ID ("name" "\xff")', {"name": "\ufffd"}),
    ],
)
def test_program_says_what_it_is(wire: bytes, fields: dict[str, str | None]) -> None:
    assert read(wire) == Id(fields)


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"ID", "BAD"),
        (b'ID ("name")', "BAD"),
        (b"ID (name x)", "BAD"),
        (b'ID ("name" "x"', "BAD"),
        (b'ID ("%b" "x")' % (b"x" * 31), "NO [LIMIT]"),
        (b'ID ("x" "%b")' % (b"x" * 1025), "NO [LIMIT]"),
        (b"ID (%b)" % b" ".join(b'"%d" NIL' % number for number in range(31)), "NO [LIMIT]"),
    ],
)
def test_program_that_says_too_much_is_refused(wire: bytes, said: str) -> None:
    assert answer(wire) == said


@pytest.mark.parametrize(
    ("wire", "command"),
    [
        (b"AUTHENTICATE PLAIN", Authenticate("PLAIN")),
        (b"authenticate plain ", Authenticate("PLAIN")),
        (b"AUTHENTICATE PLAIN AGEAYg==", Authenticate("PLAIN", b"\0a\0b")),
        (b"AUTHENTICATE EXTERNAL =", Authenticate("EXTERNAL", b"")),
        (b"AUTHENTICATE SCRAM-SHA-256", Authenticate("SCRAM-SHA-256")),
    ],
)
def test_authenticate_may_bring_its_first_response(wire: bytes, command: Command) -> None:
    assert read(wire) == command


@pytest.mark.parametrize(
    "rest",
    [b"", b" ", b" PLAIN ==", b" PLAIN AGE", b" PLAIN AGEAYg=", b" PLAIN AG=E", b" PLAIN !", b" PLAIN AGEA x", b' "x"'],
)
def test_what_is_no_authenticate_is_bad(rest: bytes) -> None:
    assert answer(b"AUTHENTICATE" + rest) == "BAD"


@pytest.mark.parametrize(
    ("rest", "user", "password"),
    [
        (b" SMITH SESAME", "SMITH", "SESAME"),
        (b' smith@example.test "a \\"b\\" \\\\c"', "smith@example.test", 'a "b" \\c'),
        (b' "" ""', "", ""),
        (b" {11}\r\nFRED FOOBAR {7}\r\nfat man", "FRED FOOBAR", "fat man"),
        (b" {1+}\r\nx {0+}\r\n", "x", ""),
        (b' x "p\xc3\xa4ss"', "x", "päss"),
        (b' x "p\xe4ss"', "x", "päss"),
        (b" x pa]ss", "x", "pa]ss"),
    ],
)
def test_login_takes_what_keyboards_make(rest: bytes, user: str, password: str) -> None:
    assert read(b"LOGIN" + rest) == Login(user, password)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b" x",
        b" x y z",
        b" x p%ss",
        b' "x',
        b' "x\\y" z',
        b" {3}\r\nx\0y z",
        b" x (y)",
        b" \xff x",
        b' "\xff" x',
        b' x"y" z',
    ],
)
def test_what_is_no_login_is_bad(rest: bytes) -> None:
    assert answer(b"LOGIN" + rest) == "BAD"


def test_password_is_not_shown() -> None:
    assert "SESAME" not in repr(read(b"LOGIN SMITH SESAME"))
    assert "SESAME" not in repr(read(b"AUTHENTICATE PLAIN AFNFU0FNRQBTRVNBTUU="))


@pytest.mark.parametrize("tag", ["a", "A142", "1", "[x]", "a.b-c/d", "&!#$',:;<=>?@^_`|}~"])
def test_tag_comes_back_as_it_was(tag: str) -> None:
    assert parse([tag.encode() + b" NOOP"]) == Parsed(tag, Noop())


@pytest.mark.parametrize(
    "line", [b"", b" ", b" a NOOP", b"+ NOOP", b"a+b NOOP", b"* NOOP", b"\xff NOOP", b"(a NOOP", b"a\tNOOP", b"\0"]
)
def test_line_without_a_tag_has_none_in_its_answer(line: bytes) -> None:
    with pytest.raises(BadCommand) as caught:
        parse([line])
    assert caught.value.tag is None


@pytest.mark.parametrize("rest", [b"", b" ", b" FROB", b" NOOPS", b" 1", b" \xff", b" UID", b" UID NOOP"])
def test_unknown_command_is_answered_with_its_tag(rest: bytes) -> None:
    with pytest.raises(BadCommand) as caught:
        parse([b"a7" + rest])
    assert caught.value.tag == "a7"
