"""Every command as it was understood: plain values. Pure.

Mailbox names are text as people write it (UTF-8, `/` between levels; INBOX in capitals whatever was typed), whatever
form they came in. Numbers of messages stay ranges: UIDs reach millions where few letters are present.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

# The last number in use (RFC 9051 section 9, seq-number).
STAR = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """A sequence set as it was written: (first, last) in any order, STAR for `*`. `is_saved`: it was `$` (RFC 5182)."""

    ranges: tuple[tuple[int, int], ...] = ()
    is_saved: bool = False


@dataclass(frozen=True, slots=True)
class Capability:
    """RFC 9051 section 6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """RFC 9051 section 6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """RFC 9051 section 6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971: what a program says of itself."""

    fields: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartTls:
    """RFC 9051 section 6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """RFC 9051 section 6.2.2. `initial` is the decoded initial response (RFC 4959), None where none was sent."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """RFC 9051 section 6.2.3. The password is text where it is UTF-8, else as latin-1 reads it."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 9051 section 6.3.1; names in capitals."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """The QRESYNC parameter of SELECT (RFC 7162 section 3.2.5)."""

    uidvalidity: int
    modseq: int
    known: Numbers | None = None
    # Message numbers and their UIDs, for servers that forget; kept, not needed.
    matches: tuple[Numbers, Numbers] | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """RFC 9051 sections 6.3.2 and 6.3.3; EXAMINE where it is only read."""

    mailbox: str
    is_read_only: bool = False
    wants_condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """RFC 9051 section 6.3.4; `uses` of RFC 6154 section 3, as in \\Sent."""

    mailbox: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    mailbox: str


StatusItem = Literal[
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT",
    "MAILBOXID",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class List:
    """RFC 9051 section 6.3.9 with RFC 5258, 5819, 6154. All in capitals: `selecting` SUBSCRIBED, REMOTE,
    RECURSIVEMATCH, SPECIAL-USE; `returning` SUBSCRIBED, CHILDREN, SPECIAL-USE. `status` are the items of RETURN (STATUS
    ...). `is_extended`: not the plain form of RFC 3501."""

    reference: str
    patterns: tuple[str, ...]
    selecting: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()
    status: tuple[StatusItem, ...] = ()
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """RFC 3501 section 6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """RFC 2342."""


@dataclass(frozen=True, slots=True)
class Status:
    """RFC 9051 section 6.3.11."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class GetQuota:
    """RFC 9208 section 4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """RFC 9208 section 4.1.2."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Message:
    """One letter of APPEND. `at` has a time zone."""

    raw: bytes
    flags: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """RFC 9051 section 6.3.12, several at once by RFC 3502, UTF8 (~{n}) by RFC 6855."""

    mailbox: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """RFC 9051 section 6.3.13."""


@dataclass(frozen=True, slots=True)
class Check:
    """RFC 3501 section 6.4.1."""


@dataclass(frozen=True, slots=True)
class Close:
    """RFC 9051 section 6.4.1."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """RFC 9051 section 6.4.2."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """RFC 9051 sections 6.4.3 and 6.4.9; `uids` only of UID EXPUNGE."""

    uids: Numbers | None = None


# The keys of SEARCH (RFC 9051 section 6.4.4).


@dataclass(frozen=True, slots=True)
class AllOf:
    keys: tuple["Key", ...]


@dataclass(frozen=True, slots=True)
class Either:
    left: "Key"
    right: "Key"


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class All:
    """Every letter."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A flag (\\Seen ...) or keyword, as written. NEW, OLD and RECENT stand as keys of `\\Recent`."""

    flag: str


@dataclass(frozen=True, slots=True)
class HasHeader:
    """HEADER name text; and BCC, CC, FROM, SUBJECT, TO as headers of that name. An empty text: the header is there."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HasText:
    """BODY (`in_headers` false) or TEXT."""

    text: str
    in_headers: bool


@dataclass(frozen=True, slots=True)
class Dated:
    """BEFORE, ON, SINCE by the day of arrival; SENTBEFORE ... by the Date header (`is_sent`)."""

    how: Literal["before", "on", "since"]
    day: date
    is_sent: bool


@dataclass(frozen=True, slots=True)
class Younger:
    """YOUNGER, and OLDER as Not(Younger) (RFC 5032)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Sized:
    """LARGER or SMALLER, strictly."""

    how: Literal["larger", "smaller"]
    octets: int


@dataclass(frozen=True, slots=True)
class InNumbers:
    numbers: Numbers
    is_uid: bool


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """MODSEQ: at least this one (RFC 7162 section 3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HasId:
    """EMAILID or THREADID (RFC 8474)."""

    what: Literal["email", "thread"]
    value: str


Key = (
    AllOf
    | Either
    | Not
    | All
    | HasFlag
    | HasHeader
    | HasText
    | Dated
    | Younger
    | Sized
    | InNumbers
    | ChangedSince
    | HasId
)


@dataclass(frozen=True, slots=True)
class Search:
    """RFC 9051 section 6.4.4. `returning` is None without RETURN, else of MIN MAX ALL COUNT SAVE; `RETURN ()` is
    {"ALL"}."""

    key: Key
    is_uid: bool = False
    returning: frozenset[str] | None = None


# The items of FETCH (RFC 9051 section 6.4.5).


@dataclass(frozen=True, slots=True)
class Item:
    """UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ EMAILID THREADID, RFC822, RFC822.HEADER,
    RFC822.TEXT (answered under their own names; RFC822 and RFC822.TEXT set \\Seen)."""

    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[...], BINARY[...] or BINARY.SIZE[...].

    `path` are the part numbers; `text` is "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT" or "MIME";
    `fields` the names as written, for the two of FIELDS. `partial` is (first octet, how many).
    """

    path: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[str, ...] = ()
    partial: tuple[int, int] | None = None
    is_peek: bool = False
    what: Literal["BODY", "BINARY", "BINARY.SIZE"] = "BODY"


@dataclass(frozen=True, slots=True)
class Fetch:
    """RFC 9051 section 6.4.5; macros are spelt out. CHANGEDSINCE and VANISHED by RFC 7162."""

    numbers: Numbers
    items: tuple[Item | Section, ...]
    is_uid: bool = False
    changed_since: int | None = None
    wants_vanished: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """RFC 9051 section 6.4.6; UNCHANGEDSINCE by RFC 7162."""

    numbers: Numbers
    how: Literal["add", "remove", "replace"]
    flags: tuple[str, ...]
    is_silent: bool = False
    is_uid: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """RFC 9051 section 6.4.7."""

    numbers: Numbers
    mailbox: str
    is_uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """RFC 9051 section 6.4.8."""

    numbers: Numbers
    mailbox: str
    is_uid: bool = False


Command = (
    Capability | Noop | Logout | Id | StartTls | Authenticate | Login | Enable | Select | Create | Delete | Rename
    | Subscribe | Unsubscribe | List | Lsub | Namespace | Status | GetQuota | GetQuotaRoot | Append | Idle | Check
    | Close | Unselect | Expunge | Search | Fetch | Store | Copy | Move
)  # fmt: skip
