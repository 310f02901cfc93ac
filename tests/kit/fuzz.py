"""Inputs that nobody meant, without end: valid ones, mutated. What is given them must be total, and fast."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# No input grows without end.
MOST_OCTETS = 100_000
# What parsers stumble over.
SPICES = (
    b"\0", b"\r", b"\n", b"\r\n", b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80", b'"', b"\\", b"(", b")", b"[", b"]", b"<",
    b">", b"{", b"}", b"~{", b"{0}\r\n", b"{3+}\r\n", b"&", b"&-", b"*", b"$", b"%", b":", b",", b" ", b"  ", b"0",
    b"4294967295", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"9" * 5000, b"NIL", b"NOT ", b"OR ",
    b"=?utf-8?q?", b"boundary=", b"--", b"\t", b";", b"=", b"-",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What is tried: a function for which every input is good, and inputs to begin with. It raises where something
    escapes."""

    name: str
    function: Callable[[bytes], object]
    seeds: Sequence[bytes]


@dataclass(slots=True)
class Findings:
    """`escapes` are those of each kind of exception, with an input of it; `slowest_ms` is processor time."""

    inputs: int = 0
    escapes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, bytes] = field(default_factory=dict)
    slowest_ms: float = 0.0
    slowest: bytes = b""

    def __add__(self, other: "Findings") -> "Findings":
        slow = max(self, other, key=lambda each: each.slowest_ms)
        return Findings(
            self.inputs + other.inputs,
            self.escapes + other.escapes,
            self.examples | other.examples,
            slow.slowest_ms,
            slow.slowest,
        )


def fuzz(target: Target, seconds: float, seed: int) -> Findings:
    """Mutates for so long. The same seed makes the same inputs."""
    dice = random.Random(seed)
    findings = Findings()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _try(target, mutated(dice, target.seeds), findings)
    return findings


def _try(target: Target, given: bytes, findings: Findings) -> None:
    findings.inputs += 1
    spent = _spent_ms(target, given, findings)
    if spent <= findings.slowest_ms:
        return
    # Another time, for the machine has other things to do, too: the best of them is the input's own.
    spent = min(spent, *(_spent_ms(target, given, findings) for _ in range(3)))
    if spent > findings.slowest_ms:
        findings.slowest_ms, findings.slowest = spent, given


def _spent_ms(target: Target, given: bytes, findings: Findings) -> float:
    began = time.thread_time_ns()
    try:
        target.function(given)
    except Exception as error:
        kind = f"{type(error).__name__}: {error}"[:100]
        findings.escapes[kind] += 1
        findings.examples.setdefault(kind, given)
    return (time.thread_time_ns() - began) / 1e6


def mutated(dice: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of them after a few mutations; often few, sometimes many."""
    given = dice.choice(seeds)
    for _ in range(1 + int(dice.expovariate(0.5))):
        given = dice.choice(_MUTATIONS)(dice, given, seeds)[:MOST_OCTETS]
    return given


def _span(dice: random.Random, given: bytes) -> tuple[int, int]:
    start = dice.randint(0, len(given))
    return start, min(len(given), start + int(dice.expovariate(0.1)))


def _flip(dice: random.Random, given: bytes, _: Sequence[bytes]) -> bytes:
    at = dice.randint(0, len(given))
    return given[:at] + bytes([dice.randrange(256)]) + given[at + 1 :]


def _cut_out(dice: random.Random, given: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(dice, given)
    return given[:start] + given[end:]


def _put_in(dice: random.Random, given: bytes, _: Sequence[bytes]) -> bytes:
    at = dice.randint(0, len(given))
    return given[:at] + dice.choice(SPICES) + given[at:]


def _replace(dice: random.Random, given: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(dice, given)
    return given[:start] + dice.choice(SPICES) + given[end:]


def _repeat(dice: random.Random, given: bytes, _: Sequence[bytes]) -> bytes:
    """The way to depth and length."""
    start, end = _span(dice, given)
    return given[:start] + given[start:end] * dice.choice((2, 3, 10, 100, 3000)) + given[end:]


def _splice(dice: random.Random, given: bytes, seeds: Sequence[bytes]) -> bytes:
    other = dice.choice(seeds)
    return given[: dice.randint(0, len(given))] + other[dice.randint(0, len(other)) :]


_MUTATIONS = (_flip, _cut_out, _put_in, _replace, _repeat, _splice)
