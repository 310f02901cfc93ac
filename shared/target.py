"""The target server as people write it: `host`, `host:port`, `user:password@host:port`, IPv6 in brackets. Pure.

The last `@` divides the login from the host, so that a password may hold one; anything else that could be mistaken is
percent-encoded. The session is plain or upgraded by STARTTLS, so port 465 is refused: nothing there would ever answer.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

DEFAULT_PORT = 25
TLS_FROM_THE_FIRST_BYTE = 465
# Stands for a password that is kept and not shown. A password that really is this has to be written %2A%2A%2A.
HIDDEN = "***"

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_LONGEST = 2000
_LONGEST_HOST = 253
# What may stand unescaped in a login that is printed.
_PLAIN = "!$&'()*+,;=~"


class TargetRefused(ValueError):
    """This cannot be a target server. The text says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class TargetServer:
    """Where to hand letters over, and as whom. `password` is HIDDEN where the one already kept is meant."""

    host: str
    port: int = DEFAULT_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """How the destination is called everywhere: `host:port`, IPv6 in brackets."""
        return named(self.host, self.port)

    def __str__(self) -> str:
        """As it is shown where settings are listed and logged."""
        return printed(self.host, self.port, self.username, has_password=self.password is not None)


def parse(text: str) -> TargetServer:
    """Understand what a person wrote. Raises TargetRefused."""
    text = text.strip()
    if not text or len(text) > _LONGEST:
        raise TargetRefused("a target server is needed: host, host:port or user:password@host:port")
    if "://" in text.rpartition("@")[2] or re.match(r"[A-Za-z]+://", text):
        raise TargetRefused("write the target server without scheme://, as host:port")
    if _CONTROL.search(text) or any(letter.isspace() for letter in text):
        raise TargetRefused("a target server has no spaces or control characters; in a password write a space as %20")
    login, at, place = text.rpartition("@")
    username, password = _login(login) if at else (None, None)
    host, port = host_and_port(place)
    return TargetServer(host, port, username, password)


def printed(host: str, port: int, username: str | None, *, has_password: bool) -> str:
    """The target server as it is shown: its password hidden; what is written back so keeps it."""
    if username is None:
        return named(host, port)
    login = quote(username, safe=_PLAIN)
    return f"{login}:{HIDDEN}@{named(host, port)}" if has_password else f"{login}@{named(host, port)}"


def named(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _login(text: str) -> tuple[str, str]:
    username, colon, password = text.partition(":")
    if not colon or not username or not password:
        raise TargetRefused("a login is user:password@host; in either, write : as %3A and @ as %40")
    return _unescaped(username), HIDDEN if password == HIDDEN else _unescaped(password)


def _unescaped(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise TargetRefused("in a target server's user or password write % as %25")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise TargetRefused("the percent-encoded user or password is not UTF-8") from None
    if _CONTROL.search(plain):
        raise TargetRefused("a target server's user and password have no control characters")
    return plain


def host_and_port(text: str) -> tuple[str, int]:
    """A place without a login. Raises TargetRefused."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise TargetRefused("an IPv6 address is written [address] or [address]:port")
        return _ipv6(inside), _port(rest[1:]) if rest else DEFAULT_PORT
    if text.count(":") > 1:
        raise TargetRefused("put an IPv6 address in brackets: [address]:port")
    host, colon, port = text.partition(":")
    return _host(host), _port(port) if colon else DEFAULT_PORT


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise TargetRefused("the target server's port is a number from 1 to 65535")
    if int(text) == TLS_FROM_THE_FIRST_BYTE:
        raise TargetRefused("port 465: TLS from the first byte is not spoken; use 587 or 25 with STARTTLS")
    return int(text)


def _ipv6(text: str) -> str:
    if "%" in text:
        raise TargetRefused("an IPv6 address with a zone cannot be a target server")
    try:
        return ipaddress.IPv6Address(text).compressed
    except ValueError:
        raise TargetRefused("what is in the brackets is no IPv6 address") from None


def _host(text: str) -> str:
    """A name or an IPv4 address, in small letters."""
    host = _ascii(text).lower().removesuffix(".")
    if not host:
        raise TargetRefused("the target server's host is missing")
    last = host.rpartition(".")[2]
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
        # Resolvers take 127.1 or 2130706433 for addresses: only the form that everybody reads alike is let in.
        return _ipv4(host)
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise TargetRefused("the target server's host is no valid name or address")
    return host


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        raise TargetRefused("the target server's host is no valid name") from None


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise TargetRefused("the target server's host is no valid IPv4 address") from None
