"""Every POP3 command as it was understood: plain values. Pure."""

from dataclasses import dataclass, field

# Commands of any state


@dataclass(frozen=True, slots=True)
class Capa:
    """RFC 2449 section 5."""


@dataclass(frozen=True, slots=True)
class Lang:
    """RFC 6856 section 3: `range` is a language range (RFC 4647 section 2.1), None to have the languages listed."""

    range: str | None = None


@dataclass(frozen=True, slots=True)
class Quit:
    """RFC 1939 sections 4 and 6."""


# Commands before login


@dataclass(frozen=True, slots=True)
class User:
    """RFC 1939 section 7."""

    name: str


@dataclass(frozen=True, slots=True)
class Pass:
    """RFC 1939 section 7: all that stands behind the one space, more spaces too."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auth:
    """RFC 5034 section 4. `initial` is the decoded initial response, None where none was sent."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Stls:
    """RFC 2595 section 4."""


@dataclass(frozen=True, slots=True)
class Utf8:
    """RFC 6856 section 2.1."""


# Commands on the maildrop (RFC 1939 sections 5 and 7)


@dataclass(frozen=True, slots=True)
class Stat:
    pass


@dataclass(frozen=True, slots=True)
class List:
    """None: all of them."""

    number: int | None = None


@dataclass(frozen=True, slots=True)
class Retr:
    number: int


@dataclass(frozen=True, slots=True)
class Dele:
    number: int


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Top:
    """The header and so many lines of what follows it."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Uidl:
    """None: all of them."""

    number: int | None = None


Command = (
    Capa | Lang | Quit | User | Pass | Auth | Stls | Utf8 | Stat | List | Retr | Dele | Noop | Rset | Top | Uidl
)  # fmt: skip
