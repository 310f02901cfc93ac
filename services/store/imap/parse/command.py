"""A whole command out of its lines and literals (RFC 9051 sections 2.2.1 and 9). Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.store.imap.commands import Command
from services.store.imap.parse import any as in_any
from services.store.imap.parse import auth, listing, nonauth, selected
from services.store.imap.parse.any import Reader
from services.store.imap.parse.errors import BadCommand, Unfit
from services.store.imap.parse.lexer import Cursor, begin

_COMMANDS: Mapping[str, Reader] = {
    **in_any.COMMANDS,
    **nonauth.COMMANDS,
    **auth.COMMANDS,
    **listing.COMMANDS,
    **selected.COMMANDS,
}


class Parsed(NamedTuple):
    tag: str
    command: Command


def parse(chunks: Sequence[bytes], *, is_utf8: bool = False) -> Parsed:
    """What [line, literal, line, ..., line] says, lines without their CRLF; each line but the last ends in the marker
    of the literal behind it. `is_utf8`: the client has enabled UTF8=ACCEPT or IMAP4rev2.

    Total over bytes, in linear time: raises BadCommand or Refused, with the command's tag, and nothing else.
    """
    cursor = Cursor(chunks, is_utf8)
    tag, name = begin(cursor)
    if tag is None:
        raise BadCommand(None, "Expected a tag")
    read = _COMMANDS.get(name)
    if read is None:
        raise BadCommand(tag, "Unknown command" if name else "Expected a command")
    try:
        command = read(cursor)
        cursor.end()
    except Unfit as unfit:
        unfit.tag, unfit.name = tag, name
        raise
    return Parsed(tag, command)
