"""Commands of both states: what this server can (RFC 2449), and in which languages it speaks (RFC 6856)."""

from collections.abc import Iterable

from services.store.door import sasl
from services.store.door.connection import Connection
from services.store.pop3.commands import Lang
from services.store.pop3.replies import Refused, many_lines, ok

# RFC 2277 section 4.5 asks for i-default of who lets languages be chosen; ours is English, too.
_LANGUAGES = {"en": "English", "i-default": "Default language"}


def capabilities(connection: Connection) -> Iterable[bytes]:
    """The answer to CAPA. Names and passwords are asked for only where they may be said (RFC 2595 section 2.2)."""
    found = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "LANG"]
    if connection.can_start_tls:
        found.append("STLS")
    if connection.is_private:
        found += ["USER", f"SASL {' '.join(sasl.MECHANISMS)}"]
    return many_lines("capabilities follow", [*found, "IMPLEMENTATION Understudy"])


def language(command: Lang) -> Iterable[bytes]:
    """The answer to LANG. Raises Refused."""
    if command.range is None:
        return many_lines("languages follow", (f"{tag} {name}" for tag, name in _LANGUAGES.items()))
    tag = _found(command.range)
    if tag is None:
        raise Refused("i-default no words of that language are known here")
    return [ok(f"{tag} so it is spoken from now on")]


def _found(wanted: str) -> str | None:
    """Lookup, from the particular to the general (RFC 4647 section 3.4)."""
    if wanted == "*":
        return "i-default"
    parts = wanted.lower().split("-")
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((tag for tag in tags if tag in _LANGUAGES), None)
