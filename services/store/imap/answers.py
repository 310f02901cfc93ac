"""How a command ends: OK, NO or BAD, with a response code where there is one (RFC 9051 section 7.1). Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The tagged answer. `code` is without brackets. `then_tls`: behind it, TLS begins."""

    text: str
    code: str | None = None
    status: str = "OK"
    then_tls: bool = False

    def line(self, tag: str) -> bytes:
        code = f"[{self.code}] " if self.code else ""
        return f"{tag} {self.status} {code}{self.text}\r\n".encode()


class Ended(Exception):
    """A command that ends otherwise than well."""

    status = "NO"

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.answer = Answer(text, code, self.status)


class No(Ended):
    """It cannot be done."""


class Bad(Ended):
    """It makes no sense here."""

    status = "BAD"


class Bye(Exception):
    """The session is over; the text says why."""
