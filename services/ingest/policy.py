"""What a client may say: addresses, parameters of MAIL and RCPT, the loop limit. Decides; does nothing."""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from services.ingest import replies
from services.ingest.replies import Refused, Reply

# RFC 5321 section 4.1.2, RFC 6531 section 3.3. Lenient where strictness only loses mail: dots may stand anywhere in a
# local part (a Japanese operator gave out such addresses), a host name may have underscores, brackets may be missing.
# No repetition has two ways to match the same text, so the time is linear in the length.
_ATOM = r"[^\x00-\x20\x7f-\x9f\"(),:;<>@\[\\\]]+"
_QUOTED = r"\"(?:[^\x00-\x1f\x7f\"\\]|\\[\x20-\x7e])*\""
_LABEL = r"[^\x00-\x20\x7f-\x9f\"(),:;<>@\[\\\].]+"
_ADDRESS = rf"(?P<local>{_ATOM}|{_QUOTED})@(?P<domain>{_LABEL}(?:\.{_LABEL})*|\[[^\s\[\]\\]+\])"
# RFC 5321 section 4.1.1.3: a source route is to be understood and ignored.
_ROUTE = r"(?:@[^:<>\s]+:)?"
_REST = r"(?:[ \t]+(?P<parameters>\S.*))?\Z"
_MAIL = re.compile(rf"FROM:[ \t]*(?P<bracket><)?{_ROUTE}(?:{_ADDRESS})?(?(bracket)>){_REST}", re.IGNORECASE)
_RCPT = re.compile(
    rf"TO:[ \t]*(?P<bracket><)?{_ROUTE}(?:{_ADDRESS}|(?P<bare>postmaster))(?(bracket)>){_REST}", re.IGNORECASE
)
_PARAMETER = re.compile(r"([A-Z0-9][A-Z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?", re.IGNORECASE)
_DOT_ATOM = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_BACKSLASHED = re.compile(r"\\(.)")
# Loops add their Received headers on top; a megabyte has room for far more than any limit.
_HEADER_LOOKED_AT_BYTES = 1024 * 1024

# The same people write to the same people.
_REMEMBERED = 4096

POSTMASTER = "postmaster"


class Sender(NamedTuple):
    """What MAIL says. `address` is as given, "" for the null sender."""

    address: str
    size: int
    is_utf8: bool


class Recipient(NamedTuple):
    """What RCPT says: as given, and as mailboxes are named."""

    given: str
    address: str


@lru_cache(_REMEMBERED)
def sender(argument: bytes, *, limit_bytes: int, is_extended: bool) -> Sender:
    """Understand the argument of MAIL. Raises Refused."""
    text = _text(argument)
    match = _MAIL.match(text)
    if match is None:
        raise Refused(replies.BAD_SENDER if text[:5].upper() == "FROM:" else replies.BAD_MAIL)
    parameters = match["parameters"]
    values = _parameters(parameters) if parameters else {}
    if values and not is_extended:
        raise Refused(replies.UNKNOWN_PARAMETER)
    is_utf8 = _flag(values, "SMTPUTF8")
    size = _size(values, limit_bytes)
    _check_body(values)
    if values:
        raise Refused(replies.UNKNOWN_PARAMETER)
    if match["domain"] is None:
        if not match["bracket"]:
            raise Refused(replies.BAD_SENDER)
        return Sender("", size, is_utf8)
    return Sender(_checked(match, is_utf8, replies.BAD_SENDER), size, is_utf8)


@lru_cache(_REMEMBERED)
def recipient(argument: bytes, *, is_utf8: bool) -> Recipient:
    """Understand the argument of RCPT. Raises Refused."""
    text = _text(argument)
    match = _RCPT.match(text)
    if match is None:
        raise Refused(replies.BAD_RECIPIENT if text[:3].upper() == "TO:" else replies.BAD_RCPT)
    if match["parameters"]:
        _parameters(match["parameters"])
        raise Refused(replies.UNKNOWN_PARAMETER)
    if match["bare"]:
        # RFC 5321 section 4.5.1
        return Recipient(match["bare"], POSTMASTER)
    return Recipient(_checked(match, is_utf8, replies.BAD_RECIPIENT), canonical(match["local"], match["domain"]))


def canonical(local: str, domain: str) -> str:
    """The address as mailboxes are named: in small letters, without quotes that are not needed."""
    if local[0] == '"':
        plain = _BACKSLASHED.sub(r"\1", local[1:-1])
        local = plain if _DOT_ATOM.fullmatch(plain) else local
    return f"{local}@{domain}".lower()


def without_tag(address: str, separator: str) -> str | None:
    """`user@` for `user+tag@`; None where there is no tag."""
    if not separator or address[0] == '"':
        return None
    local, _, domain = address.rpartition("@")
    user, found, _ = local.partition(separator)
    return f"{user}@{domain}" if found and user else None


def count_received(text: bytes | bytearray) -> int:
    """Received headers of a letter whose first line follows a line end (RFC 5321 section 6.3)."""
    end = text.find(b"\r\n\r\n", 0, _HEADER_LOOKED_AT_BYTES)
    head = text[: end if end >= 0 else _HEADER_LOOKED_AT_BYTES]
    return head.lower().count(b"\r\nreceived:")


def _text(argument: bytes) -> str:
    try:
        return argument.decode().rstrip()
    except UnicodeDecodeError:
        raise Refused(replies.NOT_UTF8) from None


def _checked(match: re.Match[str], is_utf8: bool, otherwise: Reply) -> str:
    """The address as given, if it may be what it is."""
    address = f"{match['local']}@{match['domain']}"
    if not is_utf8 and not address.isascii():
        raise Refused(replies.NEEDS_SMTPUTF8)
    if match["domain"][0] == "[" and not _is_literal(match["domain"][1:-1]):
        raise Refused(otherwise)
    return address


def _is_literal(inside: str) -> bool:
    """RFC 5321 section 4.1.3."""
    try:
        if inside[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError:
        return False
    return True


def _parameters(text: str) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise Refused(replies.BAD_ARGUMENT)
        name = match[1].upper()
        if name in values:
            raise Refused(replies.BAD_ARGUMENT)
        values[name] = match[2]
    return values


def _flag(values: dict[str, str | None], name: str) -> bool:
    if name not in values:
        return False
    if values.pop(name) is not None:
        raise Refused(replies.BAD_ARGUMENT)
    return True


def _size(values: dict[str, str | None], limit_bytes: int) -> int:
    """RFC 1870: what the client thinks the letter's size is; 0 where it does not say."""
    if "SIZE" not in values:
        return 0
    digits = values.pop("SIZE")
    if digits is None or len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        raise Refused(replies.BAD_ARGUMENT)
    if int(digits) > limit_bytes:
        raise Refused(replies.TOO_BIG)
    return int(digits)


def _check_body(values: dict[str, str | None]) -> None:
    """RFC 6152. What is sent is kept as it is under either, so the value is not remembered."""
    if "BODY" in values and (values.pop("BODY") or "").upper() not in ("7BIT", "8BITMIME"):
        raise Refused(replies.BAD_ARGUMENT)
