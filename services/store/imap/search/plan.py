"""What a search has to ask, and in which order. Pure.

A term's level says what it costs: a row is in memory, headers are in the database, and for the text a letter must be
read. Within AND and OR, cheap terms come first: what they decide, the others are not asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

from services.store.imap.commands import (
    All,
    AllOf,
    ChangedSince,
    Dated,
    Either,
    HasFlag,
    HasHeader,
    HasId,
    HasText,
    InNumbers,
    Key,
    Not,
    Sized,
    Younger,
)
from services.store.imap.search.fields import folded

# Each different text is looked for in all letters that are open, and each name's field is taken out of each header.
MOST_TEXTS = 100
MOST_NAMES = 100


class TooBroad(Exception):
    """The search would cost more than it may."""


class Level(IntEnum):
    """What must be at hand to decide a term."""

    ROW = 0
    HEADERS = 1
    TEXT = 2


@dataclass(frozen=True, slots=True)
class InField:
    """A field of that name (small letters) has `needle`, folded as its texts are; an empty one: it is there."""

    name: bytes
    needle: str


@dataclass(frozen=True, slots=True)
class SentOn:
    """What a Dated with `is_sent` asks of the day of the Date field."""

    dated: Dated


RowTest = All | HasFlag | Dated | Younger | Sized | InNumbers | ChangedSince | HasId
HeaderTest = InField | SentOn
Test = RowTest | HeaderTest | HasText


class Term(NamedTuple):
    test: Test
    level: Level


@dataclass(frozen=True, slots=True)
class Every:
    """All of `steps`."""

    steps: tuple["Step", ...]
    level: Level


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of `steps`."""

    steps: tuple["Step", ...]
    level: Level


@dataclass(frozen=True, slots=True)
class Opposite:
    step: "Step"
    level: Level


Step = Term | Every | Some | Opposite


@dataclass(frozen=True, slots=True)
class Plan:
    """`names`: fields that are asked for, in small letters. `needs_day`: the Date field's day is. `has_modseq`: the
    answer tells mod-sequences."""

    step: Step
    names: tuple[bytes, ...]
    needs_day: bool
    has_modseq: bool

    @property
    def needs_headers(self) -> bool:
        return bool(self.names) or self.needs_day


def planned(key: Key) -> Plan:
    """Raises TooBroad."""
    step = _step(key)
    tests = list(_tests(step))
    names = tuple(sorted({test.name for test in tests if isinstance(test, InField)}))
    texts = {test for test in tests if isinstance(test, HasText)}
    if len(names) > MOST_NAMES or len(texts) > MOST_TEXTS:
        raise TooBroad("Too many different texts or header fields")
    needs_day = any(isinstance(test, SentOn) for test in tests)
    return Plan(step, names, needs_day, any(isinstance(test, ChangedSince) for test in tests))


def _step(key: Key) -> Step:
    """The parser has bounded how deep keys are."""
    if isinstance(key, (AllOf, Either)):
        return _joined(key)
    if isinstance(key, Not):
        inner = _step(key.key)
        return Opposite(inner, inner.level)
    return _term(key)


def _joined(key: AllOf | Either) -> Every | Some:
    """One list of what stands in the same kind again, cheap things first."""
    kind = type(key)
    steps: list[Step] = []
    waiting: list[Key] = [key]
    while waiting:
        one = waiting.pop()
        if type(one) is not kind:
            steps.append(_step(one))
        elif isinstance(one, Either):
            waiting += (one.right, one.left)
        elif isinstance(one, AllOf):
            waiting += reversed(one.keys)
    steps.sort(key=attrgetter("level"))
    return (Every if kind is AllOf else Some)(tuple(steps), steps[-1].level)


_Leaf = All | HasFlag | HasHeader | HasText | Dated | Younger | Sized | InNumbers | ChangedSince | HasId


def _term(key: _Leaf) -> Term:
    if isinstance(key, HasHeader):
        return Term(InField(key.name.encode("utf-8", "replace").lower(), folded(key.text)), Level.HEADERS)
    if isinstance(key, HasText):
        # An empty text is in every letter.
        return Term(key, Level.TEXT) if key.text else Term(All(), Level.ROW)
    if isinstance(key, Dated) and key.is_sent:
        return Term(SentOn(key), Level.HEADERS)
    return Term(key, Level.ROW)


def _tests(step: Step) -> Iterator[Test]:
    waiting = [step]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Term):
            yield one.test
        elif isinstance(one, Opposite):
            waiting.append(one.step)
        else:
            waiting += one.steps
