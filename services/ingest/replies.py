"""Every reply that a client can get, each with its enhanced code (RFC 2034, RFC 3463), by name."""

from typing import Final


class Reply:
    """What goes back over the wire; built once where the text never changes."""

    __slots__ = ("code", "is_refusal", "wire")

    def __init__(self, code: int, enhanced: str, *lines: str) -> None:
        mark = f"{enhanced} " if enhanced else ""
        rows = [f"{code}-{mark}{line}\r\n" for line in lines[:-1]]
        self.code: Final = code
        self.is_refusal: Final = code >= 400
        self.wire: Final = "".join([*rows, f"{code} {mark}{lines[-1]}\r\n"]).encode()

    def __repr__(self) -> str:
        return f"<{self.wire.decode().strip()}>"


class Refused(Exception):
    """A command that cannot be granted; it knows its reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.wire)
        self.reply = reply


def greeting(hostname: str) -> Reply:
    return Reply(220, "", f"{hostname} ESMTP Understudy")


def hello(hostname: str) -> Reply:
    return Reply(250, "", hostname)


def extended_hello(hostname: str, capabilities: list[str]) -> Reply:
    return Reply(250, "", hostname, *capabilities)


def queued(receipt_id: str) -> Reply:
    return Reply(250, "2.0.0", f"Ok: queued as {receipt_id}")


def supported(verbs: list[str]) -> Reply:
    return Reply(214, "2.0.0", "Commands: " + " ".join(verbs), "See RFC 5321")


def usage(text: str) -> Reply:
    return Reply(214, "2.0.0", "Syntax: " + text)


OK = Reply(250, "2.0.0", "Ok")
SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify here; send mail and see")
GOODBYE = Reply(221, "2.0.0", "Bye")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")

# Passing faults: the client keeps the letter and comes again.
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again")
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_FROM_ADDRESS = Reply(421, "4.7.0", "Too many connections from your address")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
IDLE_TOO_LONG = Reply(421, "4.4.2", "Idle too long")
TOO_SLOW = Reply(421, "4.4.2", "Upload too slow")
LOCAL_ERROR = Reply(451, "4.3.0", "Local error, try again later")
BUS_UNAVAILABLE = Reply(451, "4.3.0", "Cannot keep mail safely at present, try again later")
RECIPIENTS_UNAVAILABLE = Reply(451, "4.3.0", "Cannot look up recipients at present, try again later")
OUT_OF_MEMORY = Reply(452, "4.3.1", "Too much mail in flight, try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the others separately")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS not available at present")

# Commands that are wrong.
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
BAD_ARGUMENT = Reply(501, "5.5.4", "Syntax error in parameters")
BAD_MAIL = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
BAD_RCPT = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
NOT_OFFERED = Reply(502, "5.5.1", "Command not implemented")
HELLO_FIRST = Reply(503, "5.5.1", "Send HELO or EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "Need MAIL command")
RCPT_FIRST = Reply(503, "5.5.1", "Need RCPT command")
MAIL_TWICE = Reply(503, "5.5.1", "Sender already given")
TLS_ALREADY = Reply(503, "5.5.1", "TLS already active")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized")

# Letters and recipients that will not be taken.
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
TOO_BIG = Reply(552, "5.3.4", "Message too big")
NOT_UTF8 = Reply(553, "5.6.7", "Address is not UTF-8")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Non-ASCII address needs the SMTPUTF8 parameter")
LOOPING = Reply(554, "5.4.6", "Too many hops, the mail is looping")
# RFC 5321 section 2.3.8: a lenient server takes CR "." CR for the end of data, so this cannot be forwarded safely.
BARE_CR_DOT = Reply(554, "5.6.0", "Message has a bare CR around a dot")

REFUSAL_CODES = sorted({r.code for r in list(globals().values()) if isinstance(r, Reply) and r.is_refusal})
