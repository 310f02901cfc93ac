"""What is said in AUTHENTICATE and AUTH: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00), decoded. Pure.

The doors ask, in base64: of nothing for PLAIN, `USERNAME` and then `PASSWORD` for LOGIN; the client may say the first
answer with the command, and take the exchange back with `*` (RFC 9051 section 6.2.2, RFC 5034 section 4).
"""

import base64
import binascii

MECHANISMS = ("PLAIN", "LOGIN")
# Some programs look at the words.
USERNAME, PASSWORD = b"Username:", b"Password:"


class SaslRefused(ValueError):
    """That is no answer; the text says why."""


def decode(line: bytes) -> bytes:
    """Base64 as RFC 4648 has it, and nothing besides. Raises SaslRefused."""
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise SaslRefused("that is no base64") from None


def plain(message: bytes) -> tuple[str, str]:
    """Name and password of [authzid] NUL authcid NUL passwd. Raises SaslRefused: another form, or for another."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslRefused("PLAIN is [authzid] NUL authcid NUL passwd")
    actor, name, password = (_text(part) for part in parts)
    if actor and actor.lower() != name.lower():
        raise SaslRefused("nobody logs in for another here")
    return name, password


def login(name: bytes, password: bytes) -> tuple[str, str]:
    """Name and password of the two answers. Raises SaslRefused."""
    if b"\0" in name + password:
        raise SaslRefused("a name or password has no NUL")
    return _text(name), _text(password)


def _text(octets: bytes) -> str:
    """UTF-8, or as latin-1 reads it where it is none: some programs send passwords so."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
