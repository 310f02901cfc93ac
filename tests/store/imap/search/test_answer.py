"""How what was found is told, and what is saved of it."""

from array import array

import pytest

from services.store.imap.commands import All, Search
from services.store.imap.search import Found, answer, kept


def found(*uids: int, modseqs: tuple[int, ...] | None = None) -> Found:
    """Letters 2, 3, 4 ... of these UIDs."""
    numbers = array("I", range(2, len(uids) + 2))
    return Found(array("I", uids), numbers, None if modseqs is None else array("Q", modseqs))


NONE, SOME = found(), found(5, 6, 9)
CHANGED, UNCHANGED = found(5, 6, 9, modseqs=(12, 40, 17)), found(modseqs=())

PLAIN = [
    (NONE, False, b"* SEARCH\r\n"),
    (SOME, False, b"* SEARCH 2 3 4\r\n"),
    (SOME, True, b"* SEARCH 5 6 9\r\n"),
    (CHANGED, True, b"* SEARCH 5 6 9 (MODSEQ 40)\r\n"),
    (UNCHANGED, True, b"* SEARCH\r\n"),
]

EXTENDED = [
    ("ALL", SOME, False, b'* ESEARCH (TAG "a1") ALL 2:4\r\n'),
    ("ALL", SOME, True, b'* ESEARCH (TAG "a1") UID ALL 5:6,9\r\n'),
    ("ALL", NONE, False, b'* ESEARCH (TAG "a1")\r\n'),
    ("MIN", SOME, True, b'* ESEARCH (TAG "a1") UID MIN 5\r\n'),
    ("MAX", SOME, True, b'* ESEARCH (TAG "a1") UID MAX 9\r\n'),
    ("MIN MAX", NONE, True, b'* ESEARCH (TAG "a1") UID\r\n'),
    ("COUNT", NONE, True, b'* ESEARCH (TAG "a1") UID COUNT 0\r\n'),
    ("MIN MAX COUNT ALL SAVE", SOME, True, b'* ESEARCH (TAG "a1") UID MIN 5 MAX 9 COUNT 3 ALL 5:6,9\r\n'),
    ("MIN MAX COUNT ALL", NONE, False, b'* ESEARCH (TAG "a1") COUNT 0\r\n'),
    ("SAVE", SOME, True, b""),
    ("SAVE", CHANGED, True, b""),
    ("SAVE MIN", SOME, False, b'* ESEARCH (TAG "a1") MIN 2\r\n'),
    # RFC 4731 section 3.2: the mod-sequence of what is told.
    ("MIN", CHANGED, True, b'* ESEARCH (TAG "a1") UID MIN 5 MODSEQ 12\r\n'),
    ("MAX", CHANGED, True, b'* ESEARCH (TAG "a1") UID MAX 9 MODSEQ 17\r\n'),
    ("MIN MAX", CHANGED, True, b'* ESEARCH (TAG "a1") UID MIN 5 MAX 9 MODSEQ 17\r\n'),
    ("MIN COUNT", CHANGED, True, b'* ESEARCH (TAG "a1") UID MIN 5 COUNT 3 MODSEQ 40\r\n'),
    ("ALL", CHANGED, True, b'* ESEARCH (TAG "a1") UID ALL 5:6,9 MODSEQ 40\r\n'),
    ("MIN COUNT", UNCHANGED, True, b'* ESEARCH (TAG "a1") UID COUNT 0\r\n'),
]

# RFC 5182 section 2.4.
SAVED = [
    ("SAVE", SOME, [5, 6, 9]),
    ("SAVE MIN", SOME, [5]),
    ("SAVE MAX", SOME, [9]),
    ("SAVE MIN MAX", SOME, [5, 9]),
    ("SAVE MIN MAX", found(7), [7]),
    ("SAVE MIN MAX", found(7, 8), [7, 8]),
    ("SAVE MIN MAX", NONE, []),
    ("SAVE MIN COUNT", SOME, [5, 6, 9]),
    ("SAVE MAX ALL", SOME, [5, 6, 9]),
    ("SAVE", NONE, []),
]


@pytest.mark.parametrize(("what", "is_uid", "line"), PLAIN)
def test_a_plain_search_tells_the_numbers(what: Found, is_uid: bool, line: bytes) -> None:
    assert answer("a1", Search(All(), is_uid), what, is_rev2=False) == line


@pytest.mark.parametrize(("names", "what", "is_uid", "line"), EXTENDED)
def test_an_extended_search_tells_what_was_asked_for(names: str, what: Found, is_uid: bool, line: bytes) -> None:
    command = Search(All(), is_uid, frozenset(names.split()))
    assert answer("a1", command, what, is_rev2=False) == line


def test_imap4rev2_knows_the_extended_answer_only() -> None:
    assert answer("a1", Search(All()), SOME, is_rev2=True) == b'* ESEARCH (TAG "a1") ALL 2:4\r\n'


@pytest.mark.parametrize(("names", "what", "uids"), SAVED)
def test_what_is_saved_is_what_was_asked_for(names: str, what: Found, uids: list[int]) -> None:
    assert list(kept(Search(All(), returning=frozenset(names.split())), what)) == uids
