"""Why a command is not carried out, and with what it is answered. Pure.

The texts are fixed words: nothing that a client sent (a password, say) comes back in them or gets into a log.
"""


class Unfit(Exception):
    """A command that nobody acts on. `tag` is None where there was none to answer with: `* BAD` then. `code` is a
    response code without its brackets (RFC 9051 section 7.1)."""

    def __init__(self, tag: str | None, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.tag = tag
        # The command's, in capitals, once it is known.
        self.name = ""
        self.text = text
        self.code = code


class BadCommand(Unfit):
    """BAD: the bytes are no command (RFC 9051 section 7.1.3)."""


class Refused(Unfit):
    """NO: a command, but one that can never be done here (RFC 9051 section 7.1.2)."""


def bad(text: str) -> BadCommand:
    """Whoever knows the tag adds it."""
    return BadCommand(None, text)


def over_limit(text: str) -> Refused:
    """RFC 5530 section 3, LIMIT."""
    return Refused(None, text, "LIMIT")
