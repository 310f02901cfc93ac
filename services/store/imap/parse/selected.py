"""Commands in a selected mailbox (RFC 9051 section 6.4). Pure."""

import re
from collections.abc import Mapping
from typing import Literal

from services.store.imap.commands import (
    Check,
    Close,
    Command,
    Copy,
    Expunge,
    Fetch,
    Move,
    Numbers,
    Store,
    Unselect,
)
from services.store.imap.parse.any import Reader, bare
from services.store.imap.parse.errors import bad
from services.store.imap.parse.flags import read_flags
from services.store.imap.parse.items import read_items
from services.store.imap.parse.keys import searching
from services.store.imap.parse.lexer import CLOSE, MOST_63, OPEN, Cursor
from services.store.imap.parse.names import read_mailbox
from services.store.imap.parse.ranges import read_numbers

_HOW: dict[bytes, Literal["add", "remove", "replace"]] = {b"+": "add", b"-": "remove", b"": "replace"}
_FLAGS = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.IGNORECASE)


def _fetching(is_uid: bool) -> Reader:
    def read(cursor: Cursor) -> Fetch:
        numbers = _leading_numbers(cursor)
        items = read_items(cursor)
        if cursor.is_done():
            return Fetch(numbers, items, is_uid)
        cursor.space()
        modifiers = dict(cursor.listed(_fetch_modifier))
        # RFC 7162 section 3.2.6.
        if "CHANGEDSINCE" not in modifiers or ("VANISHED" in modifiers and not is_uid):
            raise bad("Not the modifiers of a FETCH")
        return Fetch(numbers, items, is_uid, modifiers["CHANGEDSINCE"], "VANISHED" in modifiers)

    return read


def _fetch_modifier(cursor: Cursor) -> tuple[str, int]:
    name = cursor.word("a modifier")
    if name == "VANISHED":
        return name, 0
    if name != "CHANGEDSINCE":
        raise bad("There is no such modifier")
    cursor.space()
    return name, cursor.number(MOST_63)


def _storing(is_uid: bool) -> Reader:
    def read(cursor: Cursor) -> Store:
        numbers = _leading_numbers(cursor)
        unchanged_since = _unchanged_since(cursor) if cursor.sees(b"(") else None
        sign, silent = cursor.need(_FLAGS, "FLAGS").groups()
        cursor.space()
        return Store(numbers, _HOW[sign], read_flags(cursor), bool(silent), is_uid, unchanged_since)

    return read


def _unchanged_since(cursor: Cursor) -> int:
    """RFC 7162 section 3.1.3."""
    cursor.need(OPEN, "a modifier")
    if cursor.word("a modifier") != "UNCHANGEDSINCE":
        raise bad("There is no such modifier")
    cursor.space()
    modseq = cursor.number(MOST_63)
    cursor.need(CLOSE, "the end of the modifier")
    cursor.space()
    return modseq


def _carrying(kind: type[Copy | Move], is_uid: bool) -> Reader:
    """The reader of a command that takes letters to a mailbox."""

    def read(cursor: Cursor) -> Copy | Move:
        numbers = _leading_numbers(cursor)
        return kind(numbers, read_mailbox(cursor), is_uid)

    return read


def _leading_numbers(cursor: Cursor) -> Numbers:
    cursor.space()
    numbers = read_numbers(cursor)
    cursor.space()
    return numbers


def read_uid_expunge(cursor: Cursor) -> Expunge:
    """RFC 4315 section 2.1."""
    cursor.space()
    return Expunge(read_numbers(cursor))


def _by_numbers(is_uid: bool) -> dict[str, Reader]:
    return {
        "FETCH": _fetching(is_uid),
        "STORE": _storing(is_uid),
        "SEARCH": searching(is_uid),
        "COPY": _carrying(Copy, is_uid),
        "MOVE": _carrying(Move, is_uid),
    }


_BY_UID: Mapping[str, Reader] = {**_by_numbers(is_uid=True), "EXPUNGE": read_uid_expunge}


def read_uid(cursor: Cursor) -> Command:
    """RFC 9051 section 6.4.9."""
    cursor.space()
    read = _BY_UID.get(cursor.word("a command"))
    if read is None:
        raise bad("There is no such command by UID")
    return read(cursor)


COMMANDS: Mapping[str, Reader] = {
    "CHECK": bare(Check()),
    "CLOSE": bare(Close()),
    "UNSELECT": bare(Unselect()),
    "EXPUNGE": bare(Expunge()),
    "UID": read_uid,
    **_by_numbers(is_uid=False),
}
