"""That what is found is the servers' difference, and none of the comparison's own."""

import asyncio
from pathlib import Path

from tests.kit.imapfacts import facts
from tests.kit.imapwire import Answer
from tests.kit.mailserver import MailServer
from tests.store.imap.oracle.play import differences, play
from tests.store.imap.oracle.script import read

SCRIPTS = sorted(Path(__file__).parent.glob("scripts/*.imap"))
AT_ONCE = 8


async def test_dovecot_does_not_differ_from_itself(theirs: MailServer) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def twice(file: Path) -> list[str]:
        async with turns:
            one, other = await asyncio.gather(play(read(file), theirs), play(read(file), theirs))
        return [f"{file.name}: {difference}" for difference in differences(one, other)]

    found = "\n".join(one for many in await asyncio.gather(*map(twice, SCRIPTS)) for one in many)
    assert not found, found


def _told(*untagged: bytes, tagged: bytes = b"OK done") -> list[str]:
    return facts(Answer(tagged, list(untagged)))


def test_spelling_and_order_mean_nothing() -> None:
    one = _told(b'1 FETCH (FLAGS (\\Seen a) ENVELOPE ("x" NIL))', b"2 FETCH (UID 7)")
    other = _told(b"2 FETCH (uid 7)", b"1 FETCH (ENVELOPE ({1}\r\nx nil) FLAGS (a \\Seen \\Recent))", b"3 RECENT")
    assert one == other


def test_letters_expunged_in_any_order_are_the_same() -> None:
    assert _told(b"2 EXPUNGE", b"3 EXPUNGE") == _told(b"4 EXPUNGE", b"2 EXPUNGE")
    assert _told(b"2 EXPUNGE", b"3 EXPUNGE") != _told(b"3 EXPUNGE", b"2 EXPUNGE")


def test_words_of_a_structure_have_no_case_and_its_parameters_no_order() -> None:
    one = b'1 FETCH (BODYSTRUCTURE ("text" "plain" ("charset" "x" "format" "flowed") NIL NIL "7bit" 3 1))'
    other = b'1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" ("FORMAT" "flowed" "CHARSET" "X") NIL NIL "7BIT" 3 1))'
    third = b'1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" ("FORMAT" "Flowed" "CHARSET" "x") NIL NIL "7BIT" 3 1))'
    assert _told(one) == _told(other) != _told(third)


def test_a_moment_is_the_same_in_every_zone() -> None:
    one = b'1 FETCH (INTERNALDATE "01-Feb-2024 23:30:00 -0500")'
    other = b'1 FETCH (INTERNALDATE " 2-Feb-2024 05:30:00 +0100")'
    assert _told(one) == _told(other)


def test_sets_of_numbers_are_the_same_however_written() -> None:
    one = _told(b'ESEARCH (TAG "t1") UID ALL 1:3,5 COUNT 4', tagged=b"OK [COPYUID 17 1:2 8:9] done")
    other = _told(b'ESEARCH (TAG "t1") UID COUNT 4 ALL 5,3:1', tagged=b"OK [COPYUID 99 2,1 9,8] copied")
    assert one == other


def test_what_breaks_the_grammar_is_a_fact_of_its_own() -> None:
    assert any("unreadable" in fact for fact in _told(b"1 FETCH (FLAGS (\\Seen)"))
