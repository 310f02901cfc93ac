"""Commands before somebody has logged in (RFC 9051 section 6.2). Pure."""

import binascii
import re
from collections.abc import Mapping

from services.store.imap.commands import Authenticate, Login, StartTls
from services.store.imap.parse.any import Reader, bare
from services.store.imap.parse.errors import bad
from services.store.imap.parse.lexer import Cursor

_INITIAL = re.compile(rb"=(?!=)|[A-Za-z0-9+/]+={0,2}")


def read_authenticate(cursor: Cursor) -> Authenticate:
    cursor.space()
    mechanism = cursor.word("a mechanism")
    if cursor.is_done():
        return Authenticate(mechanism)
    cursor.space()
    return Authenticate(mechanism, _initial(cursor))


def _initial(cursor: Cursor) -> bytes:
    """RFC 4959 section 3: "=" is a response of no octets."""
    text = cursor.need(_INITIAL, "an initial response in base64").group()
    if text == b"=":
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise bad("The initial response is not base64") from None


def read_login(cursor: Cursor) -> Login:
    cursor.space()
    user = cursor.text()
    cursor.space()
    return Login(user, password_of(cursor.astring()))


def password_of(raw: bytes) -> str:
    """Old programs send what their keyboards made."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


COMMANDS: Mapping[str, Reader] = {
    "STARTTLS": bare(StartTls()),
    "AUTHENTICATE": read_authenticate,
    "LOGIN": read_login,
}
