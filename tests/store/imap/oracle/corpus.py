"""Real letters in both servers, byte for byte the same, and all that is told of them compared."""

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from tests.kit.imapfacts import facts
from tests.kit.imapvalues import Value, read_values
from tests.kit.imapwire import Answer, Wire
from tests.kit.mailserver import Filed, MailServer

ITEMS = "RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]"
_LETTERS = (b"message/rfc822", b"message/global")
_PART = re.compile(r"\[[\d.]*\d")
_BATCH = 100
# No item of FETCH: how the command for the parts ended.
_ANSWERED = "parts are answered"
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Unlike:
    """An item of a letter that the servers tell differently. `number` is the letter's place in the mailbox."""

    number: int
    item: str
    ours: str
    theirs: str
    raw: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        return _kind(self.item)

    def __str__(self) -> str:
        return f"letter {self.number}, {self.item}\n    ours:    {self.ours}\n    Dovecot: {self.theirs}"


async def compare(ours: MailServer, address: str, theirs: MailServer) -> tuple[int, Counter[str], list[Unlike]]:
    """INBOX of our user `address` beside a copy of it at Dovecot: letters, how many values of each kind of item were
    compared, and what differs."""
    mine, its = await ours.imap(address), await theirs.imap(await _copy(ours, address, theirs))
    compared: Counter[str] = Counter()
    unlike: list[Unlike] = []
    letters = await _select(mine)
    assert letters == await _select(its)
    for first in range(1, letters + 1, _BATCH):
        last = min(first + _BATCH - 1, letters)
        one, other = [await _batch(wire, first, last) for wire in (mine, its)]
        for number in range(first, last + 1):
            compared.update(_kind(item) for item in one[number].told)
            unlike += _unlike(number, one[number], other[number])
    await mine.close()
    await its.close()
    return letters, compared, unlike


@dataclass(slots=True)
class Letter:
    """What one server tells of a letter, by item."""

    raw: bytes = b""
    told: dict[str, str] = field(default_factory=dict)


def _unlike(number: int, one: Letter, other: Letter) -> Iterator[Unlike]:
    items = one.told.keys() | other.told.keys()
    if other.told[_ANSWERED] != "OK":
        # Dovecot refuses the whole command where an encoding is broken anywhere; we decode what can be.
        items = {item for item in items if not item.startswith(("BINARY", "UID", _ANSWERED))}
    for item in sorted(items):
        mine, its = one.told.get(item, "nothing"), other.told.get(item, "nothing")
        if mine != its:
            yield Unlike(number, item, mine, its, one.raw)


async def _select(wire: Wire) -> int:
    answer = await wire.command("EXAMINE INBOX", _PATIENCE_SECONDS)
    (exists,) = [line for line in answer.untagged if line.endswith(b" EXISTS")]
    return int(exists.split()[0])


async def _batch(wire: Wire, first: int, last: int) -> dict[int, Letter]:
    """The items of some letters, and then every part of each by itself."""
    answer = await wire.command(f"FETCH {first}:{last} ({ITEMS})", _PATIENCE_SECONDS)
    assert answer.status == "OK", answer.tagged
    letters: dict[int, Letter] = defaultdict(Letter)
    _note(answer, letters)
    for response in answer.untagged:
        number, _, items = read_values(response)
        assert isinstance(number, int)
        assert isinstance(items, list)
        by_name = {str(name).upper(): value for name, value in zip(items[::2], items[1::2], strict=True)}
        raw = by_name["BODY[]"]
        assert isinstance(raw, bytes)
        letters[number].raw = raw
        numbers = parts(by_name["BODYSTRUCTURE"])
        # BINARY.SIZE is not asked for: of many letters Dovecot tells sizes below zero.
        bodies = " ".join(f"BODY.PEEK[{part}] BODY.PEEK[{part}.MIME]" for part in numbers)
        binaries = " ".join(f"BINARY.PEEK[{part}]" for part in numbers if not _has_parts(part, numbers))
        for wanted in (bodies, binaries):
            _note(await wire.command(f"FETCH {number} ({wanted})", _PATIENCE_SECONDS), letters, number)
    return letters


def _note(answer: Answer, letters: dict[int, Letter], asked: int = 0) -> None:
    """Keep what was told. A refusal belongs to the letter that was `asked` for alone."""
    for fact in facts(answer):
        kind, _, rest = fact.partition(" ")
        if kind != "FETCH":
            assert asked or fact == "OK", f"{fact} {answer.tagged!r}"
            if asked:
                letters[asked].told[_ANSWERED] = fact
            continue
        number, _, told = rest.partition(" ")
        item, _, value = told.partition(" = ")
        letters[int(number)].told[item] = value


def parts(structure: Value, prefix: str = "") -> list[str]:
    """The numbers of all parts (RFC 9051 section 6.4.5.1); a letter that is no multipart has one part, 1."""
    assert isinstance(structure, list)
    if not isinstance(structure[0], list):
        return [*([prefix] if prefix else ["1"]), *_enclosed(structure, prefix or "1")]
    children = [child for child in structure if isinstance(child, list)]
    count = next(at for at, child in enumerate(structure) if not isinstance(child, list))
    found = [prefix] if prefix else []
    for number, child in enumerate(children[:count], 1):
        found += parts(child, f"{prefix}.{number}" if prefix else str(number))
    return found


def _has_parts(part: str, numbers: list[str]) -> bool:
    return any(other.startswith(f"{part}.") for other in numbers)


def _enclosed(structure: list[Value], prefix: str) -> list[str]:
    """A letter in a letter: its parts are numbered below it."""
    kind = b"/".join(word for word in structure[:2] if isinstance(word, bytes)).lower()
    inner = structure[8] if kind in _LETTERS and len(structure) > 8 else None
    if not isinstance(inner, list):
        return []
    return parts(inner, prefix) if isinstance(inner[0], list) else [f"{prefix}.1"]


async def _copy(ours: MailServer, address: str, theirs: MailServer) -> str:
    """A user of Dovecot with the bytes that we have."""
    copy = await theirs.new_user()
    async for raws in _raws(ours, address):
        await theirs.fill(copy, [Filed(raw) for raw in raws])
    return copy


async def _raws(ours: MailServer, address: str) -> AsyncIterator[list[bytes]]:
    wire = await ours.imap(address)
    letters = await _select(wire)
    for first in range(1, letters + 1, _BATCH):
        last = min(first + _BATCH - 1, letters)
        answer = await wire.command(f"FETCH {first}:{last} BODY.PEEK[]", _PATIENCE_SECONDS)
        by_number: dict[int, bytes] = {}
        for response in answer.untagged:
            number, _, items = read_values(response)
            assert isinstance(number, int)
            assert isinstance(items, list)
            assert isinstance(items[1], bytes)
            by_number[number] = items[1]
        yield [by_number[number] for number in sorted(by_number)]
    await wire.close()


def _kind(item: str) -> str:
    """BODY[2.1.MIME] is a BODY[part.MIME]."""
    return _PART.sub("[part", item)


@dataclass(frozen=True, slots=True)
class Spared:
    """Items (an expression) which may differ in letters of which `is_so`, and why."""

    item: str
    is_so: Callable[[bytes], bool]
    reason: str


SPARED = [
    Spared(
        r"RFC822\.SIZE|BODYSTRUCTURE|(BODY|BINARY)\[.*",
        lambda raw: b"\r\r\n" in raw,
        "Dovecot takes CR CR LF for one end of a line when it files a letter; ours is the letter as it came",
    ),
    Spared(
        r"BODY\[[\d.]+\]",
        lambda raw: re.search(rb"\r\n--[^\r\n]+--\r\n--", raw) is not None,
        "a multipart that ends right before a delimiter: the CRLF is the delimiter's (RFC 2046 section 5.1.1)",
    ),
    Spared(
        r"(BODY|BINARY)\[1(\.MIME)?\]",
        lambda raw: b'boundary="=Multipart Boundary' in raw,
        "a multipart whose boundary never comes has no part 1, and Dovecot has an empty one",
    ),
    Spared(
        "BODYSTRUCTURE",
        lambda raw: re.search(rb"\r\nContent-Type: [^;\r\n]+=", raw) is not None,
        "a Content-Type without its semicolon is none: text/plain (RFC 2045 section 5.2); to Dovecot nothing at all",
    ),
]


def is_spared(unlike: Unlike) -> bool:
    """Whether a difference is a known one."""
    return any(re.fullmatch(spared.item, unlike.item) and spared.is_so(unlike.raw) for spared in SPARED)
