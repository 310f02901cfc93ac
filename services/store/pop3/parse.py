"""POP3 commands out of lines (RFC 1939 section 3). Pure, total over bytes: a command or BadCommand, nothing else."""

import re
from collections.abc import Callable, Mapping

from services.store.door import sasl
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
from services.store.pop3.replies import BadCommand

# Reads what stands behind a command's name and one space.
Reader = Callable[[bytes], Command]

# No letter has a longer number, and no letter so many lines; int() of hundreds of digits would take its time.
_MOST_DIGITS = 20
_NUMBER = re.compile(rb"[0-9]+")
_LANGUAGE_RANGE = re.compile(rb"\*|[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def parse(line: bytes) -> Command:
    """What `line` says, which has no line end. Raises BadCommand."""
    if b"\0" in line:
        raise BadCommand("a command has no NUL")
    name, _, argument = line.partition(b" ")
    read = _COMMANDS.get(name.upper())
    if read is None:
        raise BadCommand("unknown command")
    return read(argument)


def _bare(command: Command) -> Reader:
    """The reader of a command that is its name alone."""

    def read(argument: bytes) -> Command:
        _words(argument, 0)
        return command

    return read


def _words(argument: bytes, *numbers: int) -> list[bytes]:
    """The words of an argument, of which there are as many as one of `numbers` says."""
    words = argument.split()
    if len(words) not in numbers:
        raise BadCommand("that is not how many arguments the command has")
    return words


def _number(word: bytes) -> int:
    if not _NUMBER.fullmatch(word):
        raise BadCommand("a number is expected")
    return int(word.lstrip(b"0")[: _MOST_DIGITS + 1] or b"0")


def _numbered(made: Callable[[int], Command]) -> Reader:
    return lambda argument: made(_number(_words(argument, 1)[0]))


def _maybe_numbered(made: Callable[[int | None], Command]) -> Reader:
    def read(argument: bytes) -> Command:
        words = _words(argument, 0, 1)
        return made(_number(words[0]) if words else None)

    return read


def _top(argument: bytes) -> Command:
    number, lines = _words(argument, 2)
    return Top(_number(number), _number(lines))


def _user(argument: bytes) -> Command:
    return User(_text(_words(argument, 1)[0]))


def _pass(argument: bytes) -> Command:
    if not argument:
        raise BadCommand("PASS is followed by the password")
    return Pass(_text(argument))


def _auth(argument: bytes) -> Command:
    mechanism, *initial = _words(argument, 1, 2)
    if not initial:
        return Auth(_text(mechanism).upper())
    try:
        # RFC 5034 section 4: `=` stands for an answer of no octets.
        said = b"" if initial[0] == b"=" else sasl.decode(initial[0])
    except sasl.SaslRefused as refused:
        raise BadCommand(str(refused)) from None
    return Auth(_text(mechanism).upper(), said)


def _lang(argument: bytes) -> Command:
    words = _words(argument, 0, 1)
    if not words:
        return Lang()
    if not _LANGUAGE_RANGE.fullmatch(words[0]):
        raise BadCommand("that is no language")
    return Lang(words[0].decode())


def _text(octets: bytes) -> str:
    """UTF-8 (RFC 6856 section 2.2), or as latin-1 reads it: old programs send what their keyboards made."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


_COMMANDS: Mapping[bytes, Reader] = {
    b"CAPA": _bare(Capa()),
    b"LANG": _lang,
    b"QUIT": _bare(Quit()),
    b"USER": _user,
    b"PASS": _pass,
    b"AUTH": _auth,
    b"STLS": _bare(Stls()),
    b"UTF8": _bare(Utf8()),
    b"STAT": _bare(Stat()),
    b"LIST": _maybe_numbered(List),
    b"RETR": _numbered(Retr),
    b"DELE": _numbered(Dele),
    b"NOOP": _bare(Noop()),
    b"RSET": _bare(Rset()),
    b"TOP": _top,
    b"UIDL": _maybe_numbered(Uidl),
}
