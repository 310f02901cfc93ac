"""Items of FETCH (RFC 9051 section 6.4.5), with BINARY (RFC 3516), CONDSTORE and OBJECTID. Pure."""

import re
from typing import Literal

from services.store.imap.commands import Item, Section
from services.store.imap.parse.errors import bad, over_limit
from services.store.imap.parse.lexer import MOST_63, Cursor, number_of

_ITEMS = {
    name.encode("ascii"): Item(name)
    for name in (
        "UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ", "EMAILID",
        "THREADID", "RFC822", "RFC822.HEADER", "RFC822.TEXT",
    )
}  # fmt: skip
_FAST = (Item("FLAGS"), Item("INTERNALDATE"), Item("RFC822.SIZE"))
_ALL = (*_FAST, Item("ENVELOPE"))
_MACROS = {b"FAST": _FAST, b"ALL": _ALL, b"FULL": (*_ALL, Item("BODY"))}

What = Literal["BODY", "BINARY", "BINARY.SIZE"]
# What stands before "[", and whether it leaves \Seen alone.
_SECTIONS: dict[bytes, tuple[What, bool]] = {
    b"BODY": ("BODY", False),
    b"BODY.PEEK": ("BODY", True),
    b"BINARY": ("BINARY", False),
    b"BINARY.PEEK": ("BINARY", True),
    b"BINARY.SIZE": ("BINARY.SIZE", True),
}
_NAME = re.compile(rb"([A-Za-z0-9.]+)(\[ *)?")
_SPEC = re.compile(rb"([0-9]+(?:\.[0-9]+)*)?(\.?)([A-Za-z.]*)")
_END = re.compile(rb" *\]")
_PARTIAL = re.compile(rb"<([0-9]+)\.([0-9]+)>")
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")
_TEXTS = frozenset({"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"})
# One line must not ask for a letter thousands of times.
MOST_ITEMS = 250


def read_items(cursor: Cursor) -> tuple[Item | Section, ...]:
    """A macro, spelt out; an item; or a list of items, each of them once."""
    if not cursor.sees(b"("):
        return _macro_or_item(cursor)
    items = tuple(dict.fromkeys(cursor.listed(read_item)))
    if not items:
        raise bad("Expected what to fetch")
    if len(items) > MOST_ITEMS:
        raise over_limit("Too many items")
    return items


def _macro_or_item(cursor: Cursor) -> tuple[Item | Section, ...]:
    name, bracket = cursor.need(_NAME, "what to fetch").groups()
    macro = _MACROS.get(name.upper())
    return (_item(cursor, name, bracket),) if macro is None or bracket else macro


def read_item(cursor: Cursor) -> Item | Section:
    name, bracket = cursor.need(_NAME, "what to fetch").groups()
    return _item(cursor, name, bracket)


def _item(cursor: Cursor, name: bytes, bracket: bytes | None) -> Item | Section:
    item = _ITEMS.get(name.upper()) if bracket is None else _section(cursor, name)
    if item is None:
        raise bad("There is no such item")
    return item


def _section(cursor: Cursor, name: bytes) -> Section | None:
    """From behind the "[" on."""
    kind = _SECTIONS.get(name.upper())
    if kind is None:
        return None
    what, is_peek = kind
    path, text = _spec(cursor)
    if what != "BODY" and text:
        raise bad("Expected a part's number")
    fields = _fields(cursor) if text.startswith("HEADER.FIELDS") else ()
    cursor.need(_END, "the end of the section")
    partial = None if what == "BINARY.SIZE" else _partial(cursor)
    return Section(path, text, fields, partial, is_peek, what)


def _spec(cursor: Cursor) -> tuple[tuple[int, ...], str]:
    numbers, dot, name = cursor.need(_SPEC, "a section").groups()
    text = name.upper().decode("ascii")
    is_joined = bool(numbers and text)
    if text not in _TEXTS or bool(dot) != is_joined or (text == "MIME" and not numbers):
        raise bad("There is no such section")
    path = tuple(map(number_of, numbers.split(b"."))) if numbers else ()
    if 0 in path:
        raise bad("Parts are counted from 1")
    return path, text


def _fields(cursor: Cursor) -> tuple[str, ...]:
    cursor.space()
    names = tuple(cursor.listed(_field))
    if not names:
        raise bad("Expected the name of a field")
    return names


def _field(cursor: Cursor) -> str:
    """RFC 5322 section 2.2: printable, and no colon."""
    name = cursor.astring()
    if not _FIELD_NAME.fullmatch(name):
        raise bad("Not the name of a field")
    return name.decode("ascii")


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    match = cursor.take(_PARTIAL)
    if match is None:
        return None
    first, octets = (number_of(digits, MOST_63) for digits in match.groups())
    if not octets:
        raise bad("Expected at least one octet")
    return first, octets
