"""Short ways to what a command, sent with the tag `a`, was understood as, or to the answer it gets instead."""

import pytest

from services.store.imap.commands import Command, Numbers
from services.store.imap.parse import BadCommand, Unfit, parse
from tests.kit.imapcommands import cut


def read(wire: bytes, *, is_utf8: bool = False) -> Command:
    parsed = parse(cut(b"a " + wire), is_utf8=is_utf8)
    assert parsed.tag == "a"
    return parsed.command


def answer(wire: bytes, *, is_utf8: bool = False) -> str:
    """BAD, or NO with its code."""
    with pytest.raises(Unfit) as caught:
        read(wire, is_utf8=is_utf8)
    unfit = caught.value
    assert unfit.tag == "a"
    assert unfit.text.isascii()
    return "BAD" if isinstance(unfit, BadCommand) else f"NO [{unfit.code}]"


def numbers(*ranges: int | tuple[int, int]) -> Numbers:
    return Numbers(tuple((each, each) if isinstance(each, int) else each for each in ranges))
