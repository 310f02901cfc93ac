"""LIST, LSUB and STATUS, with LIST-EXTENDED, LIST-STATUS and SPECIAL-USE (RFC 5258, 5819, 6154, 9051). Pure."""

import re
from collections.abc import Mapping
from typing import cast, get_args

from services.store.imap.commands import List, Lsub, Status, StatusItem
from services.store.imap.parse.any import Reader
from services.store.imap.parse.errors import bad, over_limit
from services.store.imap.parse.lexer import Cursor
from services.store.imap.parse.names import read_mailbox, read_pattern

_SELECTING = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURNING = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})
_ITEMS = frozenset(get_args(StatusItem))
_RETURN = re.compile(rb"RETURN(?= )", re.IGNORECASE)
# Each is laid against every mailbox.
MOST_PATTERNS = 100


def read_list(cursor: Cursor) -> List:
    """RFC 9051 section 6.3.9."""
    cursor.space()
    is_extended = cursor.sees(b"(")
    selecting: frozenset[str] = frozenset()
    if is_extended:
        selecting = frozenset(cursor.listed(_selecting))
        cursor.space()
    # RFC 5258 section 3.1: what matches recursively needs something that is matched.
    if "RECURSIVEMATCH" in selecting and selecting <= {"RECURSIVEMATCH", "REMOTE"}:
        raise bad("RECURSIVEMATCH alone selects nothing")
    reference = read_pattern(cursor)
    cursor.space()
    is_extended |= cursor.sees(b"(")
    patterns = _patterns(cursor)
    if cursor.is_done():
        return List(reference, patterns, selecting, is_extended=is_extended)
    return List(reference, patterns, selecting, *_returned(cursor), is_extended=True)


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    if not cursor.sees(b"("):
        return (read_pattern(cursor),)
    patterns = tuple(cursor.listed(read_pattern))
    if not patterns:
        raise bad("Expected a pattern")
    if len(patterns) > MOST_PATTERNS:
        raise over_limit("Too many patterns")
    return patterns


def _selecting(cursor: Cursor) -> str:
    return _one_of(_SELECTING, cursor)


def _returned(cursor: Cursor) -> tuple[frozenset[str], tuple[StatusItem, ...]]:
    cursor.space()
    cursor.need(_RETURN, "RETURN")
    cursor.space()
    options = dict(cursor.listed(_returning))
    status = options.pop("STATUS", ())
    return frozenset(options), status


def _returning(cursor: Cursor) -> tuple[str, tuple[StatusItem, ...]]:
    option = _one_of(_RETURNING, cursor)
    if option != "STATUS":
        return option, ()
    cursor.space()
    return option, _status_items(cursor)


def read_lsub(cursor: Cursor) -> Lsub:
    """RFC 3501 section 6.3.9."""
    cursor.space()
    reference = read_pattern(cursor)
    cursor.space()
    return Lsub(reference, read_pattern(cursor))


def read_status(cursor: Cursor) -> Status:
    """RFC 9051 section 6.3.11."""
    cursor.space()
    mailbox = read_mailbox(cursor)
    cursor.space()
    return Status(mailbox, _status_items(cursor))


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    items = tuple(dict.fromkeys(cursor.listed(_status_item)))
    if not items:
        raise bad("Expected what to tell")
    return items


def _status_item(cursor: Cursor) -> StatusItem:
    return cast("StatusItem", _one_of(_ITEMS, cursor))


def _one_of(names: frozenset[str], cursor: Cursor) -> str:
    name = cursor.word("a name")
    if name not in names:
        raise bad("There is no such option")
    return name


COMMANDS: Mapping[str, Reader] = {"LIST": read_list, "LSUB": read_lsub, "STATUS": read_status}
