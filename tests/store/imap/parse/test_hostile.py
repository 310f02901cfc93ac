"""Whatever bytes come, they are a command, BAD or NO, and never anything else."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.imap.commands import Command
from services.store.imap.parse import Parsed, Unfit, head_of, literal_of, parse
from tests.kit.fuzz import mutated
from tests.kit.imapcommands import VALID, cut

LONG = 20_000
# Where an argument stands that takes (nearly) everything.
OPENINGS = (
    b"",
    b"a ",
    b"a LOGIN ",
    b"a LIST (",
    b"a SEARCH ",
    b"a FETCH 1 (",
    b"a FETCH 1 BODY[HEADER.FIELDS (",
    b"a ID (",
)
FILLS = (
    b"\0", b"\r", b"\n", b"\t", b" ", b"x", b"(", b")", b"[", b"]", b"{", b"}", b'"', b"\\", b'\\"', b'"\\', b"()",
    b'""', b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"&", b"&AOk-", b"*", b"%", b",", b":", b"1", b"9", b"1,", b"1.",
    b"NOT ", b"OR ", b"NIL ", b"{0}\r\n", b"{1}\r\nx", b"~{1}\r\n\0", b"{99999999999999999999}\r\n", b" (", b") ",
    b"x ", b'"x" ', b"<0.1>",
)  # fmt: skip


def _is_decided(wire: bytes, is_utf8: bool = False) -> Command | None:
    """The command, or None; any exception but ours goes on."""
    with contextlib.suppress(Unfit):
        return parse(cut(wire), is_utf8=is_utf8).command
    return None


@pytest.mark.parametrize("wire", VALID)
@pytest.mark.parametrize("is_utf8", [False, True])
def test_valid_command_is_understood(wire: bytes, is_utf8: bool) -> None:
    if b"SETQUOTA" not in wire:
        assert _is_decided(wire, is_utf8) is not None


@pytest.mark.parametrize("opening", OPENINGS)
def test_endless_repetition_is_decided(opening: bytes) -> None:
    for fill in FILLS:
        for ending in (b"", b'"', b")", b"x", b"}"):
            _is_decided(opening + fill * (LONG // len(fill)) + ending)


@pytest.mark.parametrize("wire", VALID)
def test_command_that_breaks_off_is_decided(wire: bytes) -> None:
    for end in range(len(wire)):
        _is_decided(wire[:end])


@pytest.mark.parametrize("wire", VALID)
def test_octet_in_the_wrong_place_is_decided(wire: bytes) -> None:
    for at in range(len(wire) + 1):
        for octet in (b"\0", b"\xff", b'"', b"(", b")", b"{", b"\\", b" ", b"&"):
            _is_decided(wire[:at] + octet + wire[at:])
            _is_decided(wire[:at] + octet + wire[at + 1 :], is_utf8=True)


@given(st.binary(), st.booleans())
def test_any_bytes_are_decided(wire: bytes, is_utf8: bool) -> None:
    _is_decided(wire, is_utf8)
    head_of(wire)


@given(st.lists(st.binary() | st.sampled_from([b"a LOGIN {1}", b" {1+}", b"x", b""])), st.booleans())
def test_any_chunks_are_decided(chunks: list[bytes], is_utf8: bool) -> None:
    with contextlib.suppress(Unfit):
        assert isinstance(parse(chunks, is_utf8=is_utf8), Parsed)
    for chunk in chunks:
        with contextlib.suppress(Unfit):
            literal_of(chunk)


@settings(max_examples=500)
@given(st.integers(), st.booleans())
def test_mutated_commands_are_decided(seed: int, is_utf8: bool) -> None:
    _is_decided(mutated(random.Random(seed), VALID), is_utf8)
