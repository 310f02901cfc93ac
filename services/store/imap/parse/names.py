"""Names of mailboxes: text as people write it, `/` between levels, INBOX in capitals. Pure.

Net-Unicode (RFC 9051 section 5.1): composed characters (NFC), no control characters, no line separators; one name,
however a client spelt it.
"""

import re
import unicodedata

from services.store.imap.parse.errors import Refused, over_limit
from services.store.imap.parse.lexer import LIST_CHARS, Cursor
from services.store.imap.parse.utf7 import decode_utf7

SEPARATOR = "/"
MOST_OCTETS = 500
MOST_LEVELS = 20
# On the wire a name in modified UTF-7 is longer than in UTF-8. Bounded before it is composed, which is not linear.
MOST_WIRE = 3 * MOST_OCTETS
# C0, DEL and C1; U+2028 and U+2029 (RFC 5198 section 2).
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]")
_INBOX = re.compile(r"inbox(?=/|\Z)", re.IGNORECASE | re.ASCII)


def read_mailbox(cursor: Cursor) -> str:
    """A name that could be a mailbox's. Raises Refused where it never can (RFC 5530 section 3, CANNOT)."""
    return name_of(cursor.astring(), cursor.is_utf8)


def read_new_mailbox(cursor: Cursor) -> str:
    """A name for CREATE: a separator at its end says that others come below it (RFC 9051 section 6.3.4)."""
    return name_of(cursor.astring().removesuffix(SEPARATOR.encode()), cursor.is_utf8)


def read_pattern(cursor: Cursor) -> str:
    """A list-mailbox, or a reference. What is no name at all stays as it is, and matches nothing."""
    raw = cursor.astring(LIST_CHARS)
    if len(raw) > MOST_WIRE:
        raise over_limit("The pattern is too long")
    try:
        return _text(raw, cursor.is_utf8)
    except ValueError:
        return raw.decode("utf-8", "replace")


def name_of(raw: bytes, is_utf8: bool) -> str:
    """The mailbox that `raw` names."""
    if len(raw) > MOST_WIRE:
        raise _cannot("The name is too long")
    try:
        name = _text(raw, is_utf8)
    except ValueError:
        raise _cannot("The name is not spelt as names are") from None
    _check(name)
    return "INBOX" + name[5:] if _INBOX.match(name) else name


def _text(raw: bytes, is_utf8: bool) -> str:
    """Without UTF8=ACCEPT a name in 8 bits should not be, and can only be UTF-8."""
    if is_utf8 or not raw.isascii():
        return unicodedata.normalize("NFC", raw.decode())
    return unicodedata.normalize("NFC", decode_utf7(raw)) if b"&" in raw else raw.decode("ascii")


def _check(name: str) -> None:
    if len(name) > MOST_OCTETS or len(name.encode()) > MOST_OCTETS:
        raise _cannot("The name is too long")
    if _CONTROL.search(name):
        raise _cannot("Control characters in a name")
    levels = name.split(SEPARATOR)
    if "" in levels:
        raise _cannot("A name has no empty level")
    if len(levels) > MOST_LEVELS:
        raise _cannot("Too many levels")


def _cannot(text: str) -> Refused:
    return Refused(None, text, "CANNOT")
