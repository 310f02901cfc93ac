"""What SEARCH looks for (RFC 9051 section 6.4.4), with ESEARCH, SEARCHRES, WITHIN, CONDSTORE and OBJECTID. Pure.

Depth and number of the keys are bounded here, so that whoever walks through them need not care. Chains of OR, in which
programs write long lists of alternatives, become a balanced tree and are not deep.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from services.store.imap.commands import (
    All,
    AllOf,
    ChangedSince,
    Dated,
    Either,
    HasFlag,
    HasHeader,
    HasId,
    HasText,
    InNumbers,
    Key,
    Not,
    Search,
    Sized,
    Younger,
)
from services.store.imap.parse.any import Reader
from services.store.imap.parse.dates import read_date
from services.store.imap.parse.errors import Refused, bad, over_limit
from services.store.imap.parse.flags import read_keyword
from services.store.imap.parse.lexer import CLOSE, MOST_63, OPEN, Cursor
from services.store.imap.parse.ranges import read_numbers

MOST_DEPTH = 50
MOST_KEYS = 10_000

_RETURN = re.compile(rb"RETURN(?= +\()", re.IGNORECASE)
_RETURNED = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})
_CHARSET = re.compile(rb"CHARSET(?= )", re.IGNORECASE)
_CHARSETS = frozenset({b"US-ASCII", b"UTF-8"})
_WORD = re.compile(rb"[A-Za-z]+")
_OR = re.compile(rb"OR +", re.IGNORECASE)
_ENTRY = re.compile(rb'(?=")')
_ENTRY_KINDS = frozenset({"ALL", "PRIV", "SHARED"})


def searching(is_uid: bool) -> Reader:
    """The reader of SEARCH or UID SEARCH."""

    def read(cursor: Cursor) -> Search:
        cursor.space()
        returning = _returned(cursor) if cursor.take(_RETURN) else None
        if cursor.take(_CHARSET):
            _check_charset(cursor)
        return Search(_Program(cursor).whole(), is_uid, returning)

    return read


def _returned(cursor: Cursor) -> frozenset[str]:
    cursor.space()
    names = frozenset(cursor.listed(_returned_name))
    cursor.space()
    return names or frozenset({"ALL"})


def _returned_name(cursor: Cursor) -> str:
    name = cursor.word("what to return")
    if name not in _RETURNED:
        raise bad("There is nothing such to return")
    return name


def _check_charset(cursor: Cursor) -> None:
    """Text is taken as UTF-8, of which US-ASCII is a part."""
    cursor.space()
    if cursor.astring().upper() not in _CHARSETS:
        raise Refused(None, "The character set is not known", "BADCHARSET (US-ASCII UTF-8)")
    cursor.space()


class _Program:
    """The keys of one command. Deeper than MOST_DEPTH or more than MOST_KEYS raise Refused."""

    __slots__ = ("_count", "cursor", "depth")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.depth = 0
        self._count = 0

    def whole(self) -> Key:
        keys = [self.key()]
        while not self.cursor.is_done():
            self.cursor.space()
            keys.append(self.key())
        key = _all_of(keys)
        if _depth_of(key) > MOST_DEPTH:
            raise _too_deep()
        return key

    def key(self) -> Key:
        self._count += 1
        if self._count > MOST_KEYS:
            raise over_limit("Too many search keys")
        word = self.cursor.take(_WORD)
        if word is None:
            return self._group() if self.cursor.sees(b"(") else InNumbers(read_numbers(self.cursor), is_uid=False)
        name = word.group().upper()
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain
        read = _READERS.get(name)
        if read is None:
            raise bad("There is no such search key")
        self.cursor.space()
        return read(self)

    def _group(self) -> Key:
        self.cursor.need(OPEN, "search keys")
        keys = [self.inner()]
        while self.cursor.take(CLOSE) is None:
            self.cursor.space()
            keys.append(self.inner())
        return _all_of(keys)

    def inner(self) -> Key:
        """A key inside another."""
        if self.depth >= MOST_DEPTH:
            raise _too_deep()
        self.depth += 1
        key = self.key()
        self.depth -= 1
        return key

    def either(self) -> Key:
        """`OR a OR b c`, from the first "a" on, is a list of alternatives: however long, it is read at one depth."""
        keys = [self.inner()]
        self.cursor.space()
        while self.cursor.take(_OR):
            keys.append(self.inner())
            self.cursor.space()
        keys.append(self.inner())
        return _balanced(keys)


def _all_of(keys: list[Key]) -> Key:
    return keys[0] if len(keys) == 1 else AllOf(tuple(keys))


def _balanced(keys: list[Key]) -> Key:
    """At least one, in their order."""
    while len(keys) > 1:
        odd = keys[-1:] if len(keys) % 2 else []
        keys = [Either(left, right) for left, right in zip(keys[::2], keys[1::2], strict=False)] + odd
    return keys[0]


def _depth_of(key: Key) -> int:
    """How many keys stand around the innermost one; chains of OR inside each other add up."""
    depth = 0
    level = _inside(key)
    while level:
        depth += 1
        level = [inner for each in level for inner in _inside(each)]
    return depth


def _inside(key: Key) -> Sequence[Key]:
    if isinstance(key, AllOf):
        return key.keys
    if isinstance(key, Either):
        return (key.left, key.right)
    return (key.key,) if isinstance(key, Not) else ()


def _too_deep() -> Refused:
    return over_limit("The search keys are too deep")


_SEEN, _RECENT = HasFlag("\\Seen"), HasFlag("\\Recent")
_PLAIN: Mapping[bytes, Key] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag("\\Answered"),
    b"DELETED": HasFlag("\\Deleted"),
    b"DRAFT": HasFlag("\\Draft"),
    b"FLAGGED": HasFlag("\\Flagged"),
    b"SEEN": _SEEN,
    b"RECENT": _RECENT,
    b"UNANSWERED": Not(HasFlag("\\Answered")),
    b"UNDELETED": Not(HasFlag("\\Deleted")),
    b"UNDRAFT": Not(HasFlag("\\Draft")),
    b"UNFLAGGED": Not(HasFlag("\\Flagged")),
    b"UNSEEN": Not(_SEEN),
    # RFC 3501 section 6.4.4.
    b"NEW": AllOf((_RECENT, Not(_SEEN))),
    b"OLD": Not(_RECENT),
}


def _header(program: _Program) -> Key:
    name = program.cursor.text()
    program.cursor.space()
    return HasHeader(name, program.cursor.text())


def _changed(program: _Program) -> Key:
    """RFC 7162 section 3.1.5. Of flags that have a mod-sequence each we know nothing, so all of them count."""
    cursor = program.cursor
    if cursor.take(_ENTRY):
        cursor.string()
        cursor.space()
        if cursor.word("all, priv or shared") not in _ENTRY_KINDS:
            raise bad("Expected all, priv or shared")
        cursor.space()
    return ChangedSince(cursor.number(MOST_63))


_Read = Callable[[_Program], Key]


def _field(name: str) -> _Read:
    return lambda program: HasHeader(name, program.cursor.text())


def _dated(how: Literal["before", "on", "since"], is_sent: bool) -> _Read:
    return lambda program: Dated(how, read_date(program.cursor), is_sent)


def _sized(how: Literal["larger", "smaller"]) -> _Read:
    return lambda program: Sized(how, program.cursor.number(MOST_63))


def _id(what: Literal["email", "thread"]) -> _Read:
    return lambda program: HasId(what, program.cursor.text())


def _younger(program: _Program) -> Younger:
    return Younger(program.cursor.number(least=1))


_READERS: Mapping[bytes, _Read] = {
    b"BCC": _field("Bcc"),
    b"CC": _field("Cc"),
    b"FROM": _field("From"),
    b"SUBJECT": _field("Subject"),
    b"TO": _field("To"),
    b"HEADER": _header,
    b"BODY": lambda program: HasText(program.cursor.text(), in_headers=False),
    b"TEXT": lambda program: HasText(program.cursor.text(), in_headers=True),
    b"BEFORE": _dated("before", is_sent=False),
    b"ON": _dated("on", is_sent=False),
    b"SINCE": _dated("since", is_sent=False),
    b"SENTBEFORE": _dated("before", is_sent=True),
    b"SENTON": _dated("on", is_sent=True),
    b"SENTSINCE": _dated("since", is_sent=True),
    b"LARGER": _sized("larger"),
    b"SMALLER": _sized("smaller"),
    b"YOUNGER": _younger,
    b"OLDER": lambda program: Not(_younger(program)),
    b"KEYWORD": lambda program: HasFlag(read_keyword(program.cursor)),
    b"UNKEYWORD": lambda program: Not(HasFlag(read_keyword(program.cursor))),
    b"UID": lambda program: InNumbers(read_numbers(program.cursor), is_uid=True),
    b"MODSEQ": _changed,
    b"EMAILID": _id("email"),
    b"THREADID": _id("thread"),
    b"NOT": lambda program: Not(program.inner()),
    b"OR": _Program.either,
}
