"""What a sender is told whose letter could not be forwarded: a delivery status notification (RFC 3464). Pure.

Made by hand and not by a library, so that it is the same bytes for the same failure, and 7-bit throughout but for an
address that is not. The reply in it is a stranger's, and so are the sender and the letter's header: whatever they hold,
they stay in their place.
"""

import re
import textwrap
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

# Of the letter's header; more helps nobody to know it again.
MOST_HEADER_BYTES = 64 * 1024
# RFC 5322 section 2.1.1: what a line may have without its CRLF, and what it should.
LONGEST_LINE = 998
_WIDTH = 76
# What is told of a reply or an address; a word of it is never broken in a field.
_MOST_TEXT = 1000
_MOST_FIELD = LONGEST_LINE - 8
# RFC 5321 section 4.5.3.1.3 gives a path 256 octets; ingest takes somewhat longer ones.
_LONGEST_ADDRESS = 900

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENHANCED = re.compile(r"\s*([45]\.\d{1,3}\.\d{1,3})(?:\s|\Z)")
_NO_HOST = re.compile(r"[^A-Za-z0-9._:\[\]-]")
# RFC 6533 section 3, utf-8-addr-xtext.
_NO_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")

_NEVER = "It will not be tried again."
_EXPIRED = "The time for delivering it is over, and it will not be tried again."
_UNKNOWN = (
    "The connection broke before the receiving mail server had confirmed it, so it may have arrived all the same. It "
    "will not be tried again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A letter that failed. `receipt_id` is the notice's own; `hostname` is ours, `remote` is the main server's name.

    `sender` and `recipient` are the letter's; the address that it was to be forwarded to is nobody's business outside.
    `code` 0: the main server said nothing, and `text` says what happened instead. `is_unknown`: it may have the letter.
    `head` is the beginning of the letter, its header at least if that is not too large.
    """

    receipt_id: str
    hostname: str
    sender: str
    recipient: str
    remote: str
    received_at: datetime
    failed_at: datetime
    tried_at: datetime | None
    code: int
    text: str
    is_expired: bool
    is_unknown: bool
    head: bytes


def is_answerable(sender: str) -> bool:
    """Whether a notice can be addressed to the envelope sender: nothing in it may break out of a command."""
    return "@" in sender and len(sender.encode("utf-8", "replace")) <= _LONGEST_ADDRESS and not _CONTROL.search(sender)


def build(failure: Failure) -> bytes:
    """The notice, with CRLF line ends: multipart/report (RFC 6522) of words, status and the letter's header."""
    # Of a hash of what nobody could know while writing the letter: it does not stand in it.
    boundary = f"=_{failure.receipt_id}"
    parts = (
        _part("text/plain; charset=utf-8", _words(failure).encode("utf-8", "replace")),
        _part("message/delivery-status", _status(failure).encode()),
        _part("text/rfc822-headers", header_of(failure.head)),
    )
    divided = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    closed = f"--{boundary}--\r\n".encode()
    return _header(failure, boundary).encode("utf-8", "replace") + b"\r\n" + divided + closed


def header_of(head: bytes) -> bytes:
    """The header block with which a letter begins, whole lines of it, no more than is bearable."""
    end = head.find(b"\r\n\r\n", 0, MOST_HEADER_BYTES)
    if end < 0:
        end = head.rfind(b"\r\n", 0, MOST_HEADER_BYTES)
    return head[: end + 2] if end >= 0 else head[:MOST_HEADER_BYTES]


def _header(failure: Failure, boundary: str) -> str:
    host, date = _host(failure.hostname), _date(failure.failed_at)
    return (
        f"Received: by {host} (Understudy) id {failure.receipt_id};\r\n\t{date}\r\n"
        f"Date: {date}\r\n"
        f"From: Mail Delivery System <postmaster@{host}>\r\n"
        f"To: {_to(failure.sender)}\r\n"
        f"Subject: Your message could not be delivered\r\n"
        f"Message-ID: <{failure.receipt_id}@{host}>\r\n"
        # RFC 3834 section 5
        f"Auto-Submitted: auto-replied\r\n"
        f"MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n'
    )


def _to(sender: str) -> str:
    """The sender; the envelope knows him where a header must not hold him."""
    whole = is_answerable(sender) and (sender.isascii() or sender.isprintable())
    return f"<{sender}>" if whole else "undisclosed-recipients:;"


def _words(failure: Failure) -> str:
    """What happened, for a layperson."""
    why = _UNKNOWN if failure.is_unknown else _EXPIRED if failure.is_expired else _NEVER
    said = _line(f"{failure.code} {failure.text}" if failure.code else failure.text)
    told = [
        f"This is the mail system at {_host(failure.hostname)}.",
        "Your message could not be delivered to",
        _indented(f"<{failure.recipient}>"),
        f"It came in on {_date(failure.received_at)}. {why}",
    ]
    if said:
        told += ["The receiving mail server said:" if failure.code else "The reason:", _indented(said)]
    told.append(
        "Please check the address, or try to reach the recipient in another way. The header of your message is "
        "attached, so that you can tell which one it was."
    )
    paragraphs = [one if one.startswith(" ") else textwrap.fill(one, _WIDTH) for one in told]
    return "\n\n".join(paragraphs).replace("\n", "\r\n") + "\r\n"


def _indented(text: str) -> str:
    return textwrap.fill(_line(text), _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _status(failure: Failure) -> str:
    """Of the message (RFC 3464 section 2.2), and of its one recipient (section 2.3)."""
    of_message = [
        ("Reporting-MTA", f"dns; {_host(failure.hostname)}"),
        ("Arrival-Date", _date(failure.received_at)),
    ]
    of_recipient = [
        ("Final-Recipient", _typed(failure.recipient)),
        ("Action", "failed"),
        ("Status", status_code(failure)),
    ]
    if failure.code:
        # Section 2.3.5: only where the other server took part.
        of_recipient.append(("Remote-MTA", f"dns; {_host(failure.remote)}"))
        of_recipient.append(("Diagnostic-Code", f"smtp; {failure.code} {_ascii(failure.text)}"))
    elif failure.text.strip():
        of_recipient.append(("Diagnostic-Code", f"x-understudy; {_ascii(failure.text)}"))
    if failure.tried_at is not None:
        of_recipient.append(("Last-Attempt-Date", _date(failure.tried_at)))
    return "\r\n".join("".join(_field(*one) for one in fields) for fields in (of_message, of_recipient))


def status_code(failure: Failure) -> str:
    """RFC 3463: what the server said, if its class goes with the reply's (RFC 2034 section 4); otherwise why we gave
    up: without knowing whether it arrived, for want of time, or for another reason."""
    found = _ENHANCED.match(failure.text)
    if found and failure.code // 100 == int(found[1][0]):
        return found[1]
    if failure.is_unknown:
        return "4.4.2"
    return "4.4.7" if failure.is_expired else "5.0.0"


def _field(name: str, value: str) -> str:
    """One field, folded."""
    whole = f"{name}: {value}"[:_MOST_FIELD]
    lines = textwrap.wrap(whole, _WIDTH, subsequent_indent=" ", break_on_hyphens=False, break_long_words=False)
    return "\r\n".join(lines) + "\r\n"


def _typed(address: str) -> str:
    """An address with its type: RFC 3464 section 2.3.2, and RFC 6533 section 3 where it is not ASCII."""
    if address.isascii():
        return f"rfc822; {_ascii(address)}"
    return "utf-8; " + _NO_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):X}}}", _line(address))


def _line(text: str) -> str:
    """Text on one line, without what is not to be seen."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:_MOST_TEXT]


def _ascii(text: str) -> str:
    return _line(text).encode("ascii", "replace").decode()


def _host(name: str) -> str:
    return _NO_HOST.sub("?", name)[:255]


def _date(moment: datetime) -> str:
    return format_datetime(moment)


def _part(kind: str, content: bytes) -> bytes:
    """One part. A header that is no legal 7-bit text is made so by quoted-printable (RFC 6522 section 4): then any
    relay takes it, and its bytes are all there still."""
    encoding, encoded = ("7bit", content) if _is_plain(content) else ("quoted-printable", _quoted(content))
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded


def _is_plain(content: bytes) -> bool:
    """RFC 2045 section 2.7."""
    lines = content.split(b"\r\n")
    return content.isascii() and not any(
        len(line) > LONGEST_LINE or b"\0" in line or b"\r" in line or b"\n" in line for line in lines
    )


def _quoted(content: bytes) -> bytes:
    """RFC 2045 section 6.7; line ends stay, a bare CR or LF is encoded."""
    lines = (b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in content.split(b"\r\n"))
    return b"\r\n".join(lines)
