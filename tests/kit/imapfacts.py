"""What an IMAP server's answer means, as lines that two servers' answers can be compared by.

The order in which things are told, the case of words, the text for people and the shape of strings mean nothing; a
server's own numbers (UIDVALIDITY, MODSEQ) are shown as `*`. A sequence number is told as what it was before the answer
began: EXPUNGE renumbers (RFC 9051 section 7.5.1), and servers expunge in the order they like.
"""

from collections.abc import Callable, Iterator

from tests.kit.imapstructure import fetched, item_name, numbers, pairs, word
from tests.kit.imapvalues import Unreadable, Value, read_set, read_values
from tests.kit.imapwire import Answer

# Numbers that each server makes up for itself.
_OWN = {"UIDVALIDITY", "HIGHESTMODSEQ", "MODSEQ", "MAILBOXID"}
# Only of IMAP4rev1, and no two servers agree on which session is told.
_RECENT = {"RECENT", "\\RECENT"}
_BROKEN = (Unreadable, ValueError, IndexError, TypeError, AttributeError, AssertionError)
# Whether there is anything new, as far as the server knows (RFC 9051 section 7.3.1).
_HINTS = {"\\marked", "\\unmarked"}

Told = Iterator[str]


def facts(answer: Answer) -> list[str]:
    """Every fact of an answer, sorted. What was told twice is there twice, unless it is of a letter."""
    reader = _Facts()
    for response in answer.untagged:
        reader.read(response)
    return sorted([*reader.told(), answer.status, *_coded(answer.status, answer.tagged.partition(b" ")[2])])


class _Facts:
    """The untagged responses of one answer, read in order."""

    def __init__(self) -> None:
        self._facts: list[str] = []
        self._letters: dict[tuple[int, str], str] = {}
        self._expunged: list[int] = []
        self._exists: int | None = None

    def told(self) -> Told:
        """All that was read."""
        yield from self._facts
        yield from (f"FETCH {number} {item} = {value}" for (number, item), value in self._letters.items())
        yield from (f"EXPUNGE {number}" for number in self._expunged)
        if self._exists is not None:
            yield f"EXISTS {self._exists}"

    def read(self, response: bytes) -> None:
        """One untagged response, or a go-ahead."""
        kind, _, text = response.partition(b" ")
        if kind.startswith(b"+"):
            self._facts.append("+")
        elif kind.upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
            self._facts += _status(kind.decode().upper(), text)
        else:
            try:
                self._read_data(read_values(response))
            except _BROKEN as error:
                self._facts.append(f"unreadable ({error}): {response[:300]!r}")

    def _read_data(self, values: list[Value]) -> None:
        first, *rest = values
        if isinstance(first, int):
            self._read_numbered(first, word(rest[0]).upper(), rest[1:])
        else:
            kind = word(first).upper()
            self._facts += _READERS.get(kind, _as_it_is)(kind, rest)

    def _read_numbered(self, number: int, kind: str, rest: list[Value]) -> None:
        match kind:
            case "EXISTS":
                self._exists = number
            case "EXPUNGE":
                self._expunged.append(self._as_it_was(number))
            case "FETCH":
                for item, value in pairs(rest[0]):
                    name = item_name(item)
                    self._letters[self._as_it_was(number), name] = fetched(name, value)
            case "RECENT":
                pass
            case _:
                self._facts.append(f"unknown: {number} {kind} {rest}")

    def _as_it_was(self, number: int) -> int:
        """The sequence number before anything was expunged."""
        for gone in sorted(self._expunged):
            number += gone <= number
        return number


def _status(kind: str, text: bytes) -> list[str]:
    """An untagged OK is nothing but its code."""
    coded = [f"* {fact}" for fact in _coded(kind, text)]
    return coded if kind == "OK" else [f"* {kind}", *coded]


def _coded(status: str, text: bytes) -> Told:
    """The response code of a status (RFC 9051 section 7.1), if there is one."""
    if not text.startswith(b"["):
        return
    try:
        name, *arguments = read_values(_within_brackets(text))
        yield from (f"{status} [{code}]" for code in _code(word(name).upper(), arguments))
    except _BROKEN:
        yield f"unreadable code: {text[:80]!r}"


def _within_brackets(text: bytes) -> bytes:
    is_quoted = False
    for at, octet in enumerate(text):
        is_quoted ^= octet == ord('"')
        if octet == ord("]") and not is_quoted:
            return text[1:at]
    raise Unreadable("a code is never closed")


def _code(name: str, arguments: list[Value]) -> Told:
    """One line; PERMANENTFLAGS and CAPABILITY have one for each word."""
    match name:
        case "PERMANENTFLAGS":
            yield from (f"{name} {word(flag).lower()}" for (flag,) in _each(arguments[0]))
        case "CAPABILITY":
            yield from (f"{name} {word(one).upper()}" for one in arguments)
        case "COPYUID" | "APPENDUID":
            yield " ".join([name, "*", *map(numbers, arguments[1:])])
        case "MODIFIED":
            yield f"{name} {numbers(arguments[0])}"
        case _:
            yield " ".join([name, *("*" if name in _OWN else word(one) for one in arguments)])


def _each(values: Value) -> Iterator[tuple[Value]]:
    assert isinstance(values, list)
    yield from ((one,) for one in values)


def _as_it_is(kind: str, values: list[Value]) -> Told:
    yield " ".join([kind, *map(word, values)])


def _one_for_each_word(kind: str, values: list[Value]) -> Told:
    yield from (f"{kind} {word(one).upper()}" for one in values)


def _flags(kind: str, values: list[Value]) -> Told:
    yield from (f"{kind} {word(flag).lower()}" for (flag,) in _each(values[0]) if word(flag).upper() not in _RECENT)


def _folder(kind: str, values: list[Value]) -> Told:
    """LIST and LSUB: that the folder is there, each attribute but the hints, and what RFC 5258 lets follow."""
    attributes, delimiter, name, *more = values
    yield " ".join([kind, _name(name), word(delimiter), *map(word, more)]).replace("'CHILDINFO'", "CHILDINFO")
    for (one,) in _each(attributes):
        if (attribute := word(one).lower()) not in _HINTS:
            yield f"{kind} {_name(name)} is {attribute}"


def _name(value: Value) -> str:
    """A folder's name: an atom and a string are the same, and so is INBOX in every case."""
    name = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return repr("INBOX" if name.upper() == "INBOX" else name)


def _folder_status(kind: str, values: list[Value]) -> Told:
    for item, value in pairs(values[1]):
        name = word(item).upper()
        if name not in _RECENT:
            yield f"{kind} {_name(values[0])} {name} = {'*' if name in _OWN else word(value)}"


def _found(kind: str, values: list[Value]) -> Told:
    yield f"{kind} {sorted(one for one in values if isinstance(one, int))}"
    yield from (f"{kind} {word(one[0]).upper()} *" for one in values if isinstance(one, list))


def _found_extended(kind: str, values: list[Value]) -> Told:
    """RFC 9051 section 7.3.4: the tag, UID, and then data by name."""
    rest = list(values)
    if rest and isinstance(rest[0], list):
        yield f"{kind} {word(rest.pop(0))}"
    if rest and word(rest[0]).upper() == "UID":
        yield f"{kind} {word(rest.pop(0)).upper()}"
    for item, value in pairs(rest):
        name = word(item).upper()
        yield f"{kind} {name} = {'*' if name in _OWN else numbers(value) if name == 'ALL' else word(value)}"


def _vanished(kind: str, values: list[Value]) -> Told:
    """RFC 7162 section 3.2.10."""
    earlier = " (EARLIER)" if isinstance(values[0], list) else ""
    yield from (f"{kind}{earlier} {number}" for number in sorted(read_set(word(values[-1]))))


def _identity(kind: str, values: list[Value]) -> Told:
    yield f"{kind} {'NIL' if values[0] is None else 'of its own'}"


def _quota(kind: str, values: list[Value]) -> Told:
    """Names of roots, usage and limits are a server's own; that there are some is not."""
    yield f"{kind} {'(resources)' if isinstance(values[-1], list) else 'roots'}"


_READERS: dict[str, Callable[[str, list[Value]], Told]] = {
    "FLAGS": _flags,
    "CAPABILITY": _one_for_each_word,
    "ENABLED": _one_for_each_word,
    "LIST": _folder,
    "LSUB": _folder,
    "STATUS": _folder_status,
    "SEARCH": _found,
    "ESEARCH": _found_extended,
    "VANISHED": _vanished,
    "ID": _identity,
    "QUOTA": _quota,
    "QUOTAROOT": _quota,
}
