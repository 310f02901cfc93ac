"""Who handed a letter in, as a main server is told: XCLIENT (it treats us as that client) and XFORWARD (it logs that
client). Pure; after Postfix's XCLIENT_README and XFORWARD_README.
"""

import functools
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

# An attribute's value, and a command with its line end (RFC 5321 section 4.5.3.1.4).
MOST_VALUE = 255
MOST_COMMAND = 510
UNAVAILABLE = "[UNAVAILABLE]"
_REMEMBERED = 512
_SPECIAL = frozenset('<>()\\";@')
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Client:
    """The client that a letter came from: its IP address, its name in the DNS where that is known, and what it called
    itself."""

    address: str
    name: str | None = None
    helo: str | None = None

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.address


@functools.lru_cache(maxsize=_REMEMBERED)
def xclient(client: Client, announced: frozenset[str]) -> bytes:
    """The XCLIENT command without its line end; empty where the server takes none of what we could tell."""
    attributes = _attributes(client, announced)
    command = b" ".join([b"XCLIENT", *attributes])
    if len(command) > MOST_COMMAND:
        # Each XCLIENT begins a new session, so it is all in one; the name that the client gave itself matters least.
        command = b" ".join([b"XCLIENT", *_attributes(Client(client.address, client.name), announced)])
    return command if attributes else b""


@functools.lru_cache(maxsize=_REMEMBERED)
def xforward(client: Client, announced: frozenset[str]) -> tuple[bytes, ...]:
    """The XFORWARD commands without their line ends, to be sent before each MAIL. None where the address is not known
    or cannot be told: without it the server takes the letter for one that began here."""
    if "ADDR" not in announced or _address(client) == UNAVAILABLE:
        return ()
    attributes = _attributes(client, announced)
    if "SOURCE" in announced:
        attributes.append(b"SOURCE=REMOTE")
    commands = [b"XFORWARD"]
    for attribute in attributes:
        if len(commands[-1]) + 1 + len(attribute) > MOST_COMMAND:
            commands.append(b"XFORWARD")
        commands[-1] += b" " + attribute
    return tuple(commands)


def greeting_name(client: Client) -> str | None:
    """What the client called itself, if that can be said in EHLO once more."""
    helo = client.helo or ""
    return helo if 0 < len(helo) <= MOST_VALUE and helo.isascii() and all(33 <= ord(c) < 127 for c in helo) else None


def _attributes(client: Client, announced: Collection[str]) -> list[bytes]:
    values = {"NAME": _host(client.name), "ADDR": _address(client), "HELO": _coded(client.helo)}
    return [f"{name}={value}".encode() for name, value in values.items() if name in announced]


def _address(client: Client) -> str:
    try:
        address = ipaddress.ip_address(client.address.partition("%")[0])
    except ValueError:
        return UNAVAILABLE
    return f"IPV6:{address}" if address.version == 6 else str(address)


def _host(name: str | None) -> str:
    """A server takes nothing here but a host's name; Postfix refuses the whole command for any other."""
    labels = (name or "").split(".")
    is_name = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return name if name is not None and is_name and len(name) <= MOST_VALUE else UNAVAILABLE


def _coded(value: str | None) -> str:
    """In xtext (RFC 3461 section 4). Not known is what is empty, too long, or not fit for a header once decoded."""
    if not value or not all(33 <= ord(letter) < 127 and letter not in _SPECIAL for letter in value):
        return UNAVAILABLE
    coded = value.replace("+", "+2B").replace("=", "+3D")
    return coded if len(coded) <= MOST_VALUE else UNAVAILABLE
