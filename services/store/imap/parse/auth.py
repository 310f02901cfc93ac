"""Commands once somebody has logged in (RFC 9051 section 6.3), but for those that list mailboxes. Pure."""

import re
from collections.abc import Mapping

from services.store.imap.commands import (
    Append,
    Create,
    Delete,
    Enable,
    GetQuota,
    GetQuotaRoot,
    Idle,
    Message,
    Namespace,
    Numbers,
    Rename,
    Resync,
    Select,
    Subscribe,
    Unsubscribe,
)
from services.store.imap.parse.any import Reader, bare
from services.store.imap.parse.dates import read_date_time, sees_date_time
from services.store.imap.parse.errors import Refused, bad
from services.store.imap.parse.flags import read_flag_list, read_special_use
from services.store.imap.parse.lexer import CLOSE, MOST_63, OPEN, Cursor
from services.store.imap.parse.names import read_mailbox, read_new_mailbox
from services.store.imap.parse.ranges import read_known

_UTF8 = re.compile(rb"UTF8 *(?=\()", re.IGNORECASE)
_TO_NUMBER = re.compile(rb" +(?=[0-9])")
_TO_LIST = re.compile(rb" +(?=\()")


def read_enable(cursor: Cursor) -> Enable:
    names: list[str] = []
    while not names or not cursor.is_done():
        cursor.space()
        names.append(cursor.word("the name of an extension"))
    return Enable(tuple(names))


def _selecting(is_read_only: bool) -> Reader:
    def read(cursor: Cursor) -> Select:
        cursor.space()
        mailbox = read_mailbox(cursor)
        if cursor.is_done():
            return Select(mailbox, is_read_only)
        cursor.space()
        parameters = dict(cursor.listed(_select_parameter))
        if not parameters:
            raise bad("Expected a parameter")
        return Select(mailbox, is_read_only, "CONDSTORE" in parameters, parameters.get("QRESYNC"))

    return read


def _select_parameter(cursor: Cursor) -> tuple[str, Resync | None]:
    """RFC 4466 section 2.1, RFC 7162 section 7."""
    name = cursor.word("a parameter")
    if name == "CONDSTORE":
        return name, None
    if name == "QRESYNC":
        cursor.space()
        return name, _resync(cursor)
    raise bad("There is no such parameter")


def _resync(cursor: Cursor) -> Resync:
    cursor.need(OPEN, "what is known")
    uidvalidity = cursor.number(least=1)
    cursor.space()
    modseq = cursor.number(MOST_63)
    known = read_known(cursor) if cursor.take(_TO_NUMBER) else None
    matches = _matches(cursor) if cursor.take(_TO_LIST) else None
    cursor.need(CLOSE, "the end of what is known")
    return Resync(uidvalidity, modseq, known, matches)


def _matches(cursor: Cursor) -> tuple[Numbers, Numbers]:
    cursor.need(OPEN, "numbers and their UIDs")
    numbers = read_known(cursor)
    cursor.space()
    uids = read_known(cursor)
    cursor.need(CLOSE, "the end of the UIDs")
    return numbers, uids


def read_create(cursor: Cursor) -> Create:
    cursor.space()
    mailbox = read_new_mailbox(cursor)
    if cursor.is_done():
        return Create(mailbox)
    cursor.space()
    uses = cursor.listed(_create_parameter)
    if len(uses) != 1:
        raise bad("Expected USE once")
    return Create(mailbox, uses[0])


def _create_parameter(cursor: Cursor) -> tuple[str, ...]:
    """RFC 6154 section 6."""
    if cursor.word("a parameter") != "USE":
        raise bad("There is no such parameter")
    cursor.space()
    return tuple(dict.fromkeys(cursor.listed(read_special_use)))


def read_rename(cursor: Cursor) -> Rename:
    cursor.space()
    old = read_mailbox(cursor)
    cursor.space()
    return Rename(old, read_new_mailbox(cursor))


def read_append(cursor: Cursor) -> Append:
    cursor.space()
    mailbox = read_mailbox(cursor)
    messages: list[Message] = []
    while not messages or not cursor.is_done():
        cursor.space()
        messages.append(_message(cursor))
    return Append(mailbox, tuple(messages))


def _message(cursor: Cursor) -> Message:
    flags: tuple[str, ...] = ()
    at = None
    if cursor.sees(b"("):
        flags = read_flag_list(cursor)
        cursor.space()
    if sees_date_time(cursor):
        at = read_date_time(cursor)
        cursor.space()
    return Message(_letter(cursor), flags, at)


def _letter(cursor: Cursor) -> bytes:
    """A literal, a literal8 (RFC 3516), or one said to be in UTF-8 (RFC 6855 section 4)."""
    if not cursor.take(_UTF8):
        return cursor.literal()
    letters = cursor.listed(Cursor.literal)
    if len(letters) != 1:
        raise bad("Expected one literal")
    return letters[0]


def read_get_quota(cursor: Cursor) -> GetQuota:
    cursor.space()
    return GetQuota(cursor.text())


def refuse_set_quota(_cursor: Cursor) -> GetQuota:
    """RFC 9208 section 4.1.3, without QUOTASET."""
    raise Refused(None, "Quotas are not set by mail programs", "NOPERM")


def _naming(kind: type[Delete | Subscribe | Unsubscribe | GetQuotaRoot]) -> Reader:
    """The reader of a command that names a mailbox."""

    def read(cursor: Cursor) -> Delete | Subscribe | Unsubscribe | GetQuotaRoot:
        cursor.space()
        return kind(read_mailbox(cursor))

    return read


COMMANDS: Mapping[str, Reader] = {
    "ENABLE": read_enable,
    "SELECT": _selecting(is_read_only=False),
    "EXAMINE": _selecting(is_read_only=True),
    "CREATE": read_create,
    "DELETE": _naming(Delete),
    "RENAME": read_rename,
    "SUBSCRIBE": _naming(Subscribe),
    "UNSUBSCRIBE": _naming(Unsubscribe),
    "NAMESPACE": bare(Namespace()),
    "APPEND": read_append,
    "IDLE": bare(Idle()),
    "GETQUOTA": read_get_quota,
    "GETQUOTAROOT": _naming(GetQuotaRoot),
    "SETQUOTA": refuse_set_quota,
}
