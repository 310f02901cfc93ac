"""Flags and keywords (RFC 9051 section 2.3.2). Pure."""

import re

from services.store.imap.parse.errors import bad, over_limit
from services.store.imap.parse.lexer import ATOM, ATOM_CHARS, Cursor

_FLAG = re.compile(rb"\\?[%s]+" % ATOM_CHARS)
# \Recent is the server's to set (RFC 3501 section 2.3.2).
_SYSTEM = {name.upper(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
_USE = re.compile(rb"\\[%s]+" % ATOM_CHARS)
_NAMED_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
_USES = {name.upper(): name for name in _NAMED_USES}
MOST_FLAGS = 100
MOST_KEYWORD = 255


def read_flag(cursor: Cursor) -> str:
    """A system flag as RFC 9051 writes it, or a keyword as the client does."""
    flag = cursor.need(_FLAG, "a flag").group().decode("ascii")
    if not flag.startswith("\\"):
        return _bounded(flag)
    if (system := _SYSTEM.get(flag.upper())) is None:
        raise bad("There is no such system flag")
    return system


def read_keyword(cursor: Cursor) -> str:
    return _bounded(cursor.need(ATOM, "a keyword").group().decode("ascii"))


def read_flag_list(cursor: Cursor) -> tuple[str, ...]:
    """Each flag once."""
    return _distinct(cursor.listed(read_flag))


def read_special_use(cursor: Cursor) -> str:
    """What a mailbox is for (RFC 6154 section 2); one that is not known stays as it was written."""
    use = cursor.need(_USE, "a special use").group().decode("ascii")
    return _USES.get(use.upper(), use)


def read_flags(cursor: Cursor) -> tuple[str, ...]:
    """A list, or flags without parentheses to the end of the command, as STORE may have them."""
    if cursor.sees(b"("):
        return read_flag_list(cursor)
    flags = [read_flag(cursor)]
    while not cursor.is_done():
        cursor.space()
        flags.append(read_flag(cursor))
    return _distinct(flags)


def _bounded(keyword: str) -> str:
    if len(keyword) > MOST_KEYWORD:
        raise over_limit("The keyword is too long")
    return keyword


def _distinct(flags: list[str]) -> tuple[str, ...]:
    each = tuple(dict.fromkeys(flags))
    if len(each) > MOST_FLAGS:
        raise over_limit("Too many flags")
    return each
