"""Commands of every state (RFC 9051 section 6.1). Pure."""

from collections.abc import Callable, Mapping

from services.store.imap.commands import Capability, Command, Id, Logout, Noop
from services.store.imap.parse.errors import over_limit
from services.store.imap.parse.lexer import NIL, Cursor

# Reads what stands behind a command's name, its space first.
Reader = Callable[[Cursor], Command]

# RFC 2971 section 3.3.
MOST_FIELDS = 30
MOST_FIELD_OCTETS = 30
MOST_VALUE_OCTETS = 1024


def bare(command: Command) -> Reader:
    """The reader of a command that is its name alone."""
    return lambda _cursor: command


def read_id(cursor: Cursor) -> Id:
    cursor.space()
    if cursor.take(NIL):
        return Id()
    fields = dict(cursor.listed(_field))
    if len(fields) > MOST_FIELDS:
        raise over_limit("Too many fields")
    return Id(fields)


def _field(cursor: Cursor) -> tuple[str, str | None]:
    name = cursor.string()
    cursor.space()
    value = cursor.nstring()
    if len(name) > MOST_FIELD_OCTETS or len(value or b"") > MOST_VALUE_OCTETS:
        raise over_limit("The field is too long")
    return name.decode("utf-8", "replace"), None if value is None else value.decode("utf-8", "replace")


COMMANDS: Mapping[str, Reader] = {
    "CAPABILITY": bare(Capability()),
    "NOOP": bare(Noop()),
    "LOGOUT": bare(Logout()),
    "ID": read_id,
}
