"""What a client may ask for, as a table: each command decides from its argument and what the session has by then.

A command returns its reply, raises Refused with it, or has the session answer later and returns None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.ingest import policy, replies
from services.ingest.policy import Recipient
from services.ingest.replies import Refused, Reply

if TYPE_CHECKING:
    from services.ingest.server import IngestSMTP

# RFC 5321 section 4.5.3.1.2; a longer name is cut, for it is only told.
_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Command:
    run: "Callable[[IngestSMTP, bytes], Reply | None]"
    usage: str


def helo(smtp: "IngestSMTP", argument: bytes) -> Reply:
    return _hello(smtp, argument, is_extended=False)


def ehlo(smtp: "IngestSMTP", argument: bytes) -> Reply:
    return _hello(smtp, argument, is_extended=True)


def _hello(smtp: "IngestSMTP", argument: bytes, *, is_extended: bool) -> Reply:
    if not argument:
        raise Refused(replies.BAD_ARGUMENT)
    smtp.session.host_name = argument[:_NAME_BYTES].decode("ascii", "replace")
    smtp.session.extended_smtp = is_extended
    smtp.end_transaction()
    return smtp.listener.hello(is_extended=is_extended, is_tls=smtp.session.ssl is not None)


def mail(smtp: "IngestSMTP", argument: bytes) -> Reply:
    if smtp.session.host_name is None:
        raise Refused(replies.HELLO_FIRST)
    if smtp.envelope.mail_from is not None:
        raise Refused(replies.MAIL_TWICE)
    sender = policy.sender(
        argument,
        limit_bytes=smtp.listener.settings.max_message_bytes,
        is_extended=smtp.session.extended_smtp,
    )
    transaction = smtp.begin_transaction()
    transaction.mail_from = sender.address
    transaction.smtp_utf8 = sender.is_utf8
    transaction.declared_bytes = sender.size
    return replies.SENDER_OK


def rcpt(smtp: "IngestSMTP", argument: bytes) -> Reply | None:
    transaction = smtp.envelope
    if transaction.mail_from is None:
        raise Refused(replies.MAIL_FIRST)
    if len(transaction.rcpt_tos) >= smtp.listener.settings.recipients_per_letter:
        raise Refused(replies.TOO_MANY_RECIPIENTS)
    recipient = policy.recipient(argument, is_utf8=transaction.smtp_utf8)
    mailbox = smtp.listener.handler.mailbox(recipient.address)
    if mailbox is None:
        smtp.answer_later(_look_up(smtp, recipient))
        return None
    return _accept(smtp, recipient, mailbox)


async def _look_up(smtp: "IngestSMTP", recipient: Recipient) -> Reply:
    return _accept(smtp, recipient, await smtp.listener.handler.look_up(recipient.address))


def _accept(smtp: "IngestSMTP", recipient: Recipient, mailbox: str) -> Reply:
    smtp.envelope.rcpt_tos.append(recipient.given)
    smtp.envelope.mailboxes[mailbox] = None
    return replies.RECIPIENT_OK


def data(smtp: "IngestSMTP", argument: bytes) -> Reply:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    if smtp.envelope.mail_from is None:
        raise Refused(replies.MAIL_FIRST)
    if not smtp.envelope.mailboxes:
        raise Refused(replies.RCPT_FIRST)
    if smtp.listener.handler.bus_is_silent:
        raise Refused(replies.BUS_UNAVAILABLE)
    share = smtp.listener.budget.admit(smtp.envelope.declared_bytes)
    if share is None:
        raise Refused(replies.OUT_OF_MEMORY)
    smtp.begin_letter(share)
    return replies.GO_AHEAD


def rset(smtp: "IngestSMTP", argument: bytes) -> Reply:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    smtp.end_transaction()
    return replies.OK


def noop(smtp: "IngestSMTP", argument: bytes) -> Reply:
    return replies.OK


def quit_(smtp: "IngestSMTP", argument: bytes) -> Reply | None:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    smtp.leave(replies.GOODBYE)
    return None


def vrfy(smtp: "IngestSMTP", argument: bytes) -> Reply:
    return replies.CANNOT_VERIFY if argument else replies.BAD_ARGUMENT


def expn(smtp: "IngestSMTP", argument: bytes) -> Reply:
    return replies.NOT_OFFERED


def help_(smtp: "IngestSMTP", argument: bytes) -> Reply:
    command = COMMANDS.get(argument.upper())
    return replies.usage(command.usage) if command else _SUPPORTED


def starttls(smtp: "IngestSMTP", argument: bytes) -> Reply | None:
    if argument:
        raise Refused(replies.BAD_ARGUMENT)
    if smtp.session.ssl is not None:
        raise Refused(replies.TLS_ALREADY)
    if smtp.listener.certificate is None:
        raise Refused(replies.NOT_OFFERED)
    smtp.start_tls(smtp.listener.certificate.context())
    return None


COMMANDS: dict[bytes, Command] = {
    b"HELO": Command(helo, "HELO name"),
    b"EHLO": Command(ehlo, "EHLO name"),
    b"MAIL": Command(mail, "MAIL FROM:<address> [SIZE=bytes] [BODY=7BIT|8BITMIME] [SMTPUTF8]"),
    b"RCPT": Command(rcpt, "RCPT TO:<address>"),
    b"DATA": Command(data, "DATA"),
    b"RSET": Command(rset, "RSET"),
    b"NOOP": Command(noop, "NOOP [anything]"),
    b"QUIT": Command(quit_, "QUIT"),
    b"VRFY": Command(vrfy, "VRFY address"),
    b"EXPN": Command(expn, "EXPN list"),
    b"HELP": Command(help_, "HELP [command]"),
    b"STARTTLS": Command(starttls, "STARTTLS"),
}

_SUPPORTED = replies.supported([verb.decode() for verb in COMMANDS if verb != b"EXPN"])
