"""FETCH, STORE, COPY, MOVE and UID EXPUNGE."""

import pytest

from services.store.imap.commands import Command, Copy, Expunge, Fetch, Item, Move, Numbers, Section, Store
from tests.store.imap.parse.reading import answer, numbers, read

FAST = (Item("FLAGS"), Item("INTERNALDATE"), Item("RFC822.SIZE"))
ALL = (*FAST, Item("ENVELOPE"))
ONE = numbers(1)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (b"1", ONE),
        (b"*", numbers(0)),
        (b"2:4", numbers((2, 4))),
        # As they were written: whoever asks for 4:2 means 2:4, and says so.
        (b"4:2", numbers((4, 2))),
        (b"1:*", numbers((1, 0))),
        (b"*:1", numbers((0, 1))),
        (b"*:*", numbers((0, 0))),
        (b"2,4:7,9,12:*", numbers(2, (4, 7), 9, (12, 0))),
        (b"4294967295", numbers(4294967295)),
        (b"007", numbers(7)),
        (b"$", Numbers(is_saved=True)),
    ],
)
def test_sequence_set_stays_as_it_was_written(text: bytes, known: Numbers) -> None:
    assert read(b"FETCH %b FLAGS" % text) == Fetch(known, (Item("FLAGS"),))
    assert read(b"UID EXPUNGE " + text) == Expunge(known)


@pytest.mark.parametrize(
    "text",
    [
        b"0", b"1:0", b"-1", b"1:", b":1", b":", b",", b"1,", b",1", b"1,,2", b"1:2:3", b"**", b"1*", b"1 :2", b"x",
        b"4294967296", b"1:4294967296", b"9" * 5000, b"0" * 5000, b"$,1", b"1,$", b"$$", b"\xb2", b'"1"', b"(1)", b"",
    ],
)  # fmt: skip
def test_what_is_no_sequence_set_is_bad(text: bytes) -> None:
    assert answer(b"FETCH %b FLAGS" % text) == "BAD"
    assert answer(b"UID EXPUNGE " + text) == "BAD"


@pytest.mark.parametrize(
    "name",
    [
        "UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ", "EMAILID",
        "THREADID", "RFC822", "RFC822.HEADER", "RFC822.TEXT",
    ],
)  # fmt: skip
def test_item_is_its_name(name: str) -> None:
    command = Fetch(ONE, (Item(name),))
    for text in (name, name.lower(), f"({name})", f"( {name} )"):
        assert read(f"FETCH 1 {text}".encode()) == command


@pytest.mark.parametrize(("macro", "items"), [(b"FAST", FAST), (b"all", ALL), (b"Full", (*ALL, Item("BODY")))])
def test_macro_is_spelt_out(macro: bytes, items: tuple[Item, ...]) -> None:
    assert read(b"FETCH 1 " + macro) == Fetch(ONE, items)
    assert answer(b"FETCH 1 (%b)" % macro) == "BAD"


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (b"BODY[]", Section()),
        (b"body.peek[]", Section(is_peek=True)),
        (b"BODY[TEXT]", Section(text="TEXT")),
        (b"BODY[header]", Section(text="HEADER")),
        (b"BODY[1]", Section((1,))),
        (b"BODY[4.2.2.1]", Section((4, 2, 2, 1))),
        (b"BODY[4.2.HEADER]", Section((4, 2), "HEADER")),
        (b"BODY[4.1.MIME]", Section((4, 1), "MIME")),
        (b"BODY[3.TEXT]<0.100>", Section((3,), "TEXT", (), (0, 100))),
        (b"BODY.PEEK[TEXT]<0.2048>", Section((), "TEXT", (), (0, 2048), True)),
        (b"BODY[]<9223372036854775807.9223372036854775807>", Section(partial=(2**63 - 1, 2**63 - 1))),
        (b"BODY[HEADER.FIELDS (DATE FROM)]", Section((), "HEADER.FIELDS", ("DATE", "FROM"))),
        (b"BODY[1.HEADER.FIELDS.NOT (To to)]", Section((1,), "HEADER.FIELDS.NOT", ("To", "to"))),
        (
            b'BODY.PEEK[HEADER.FIELDS ("X-\\"" {3}\r\nX]Y)]<5.1>',
            Section((), "HEADER.FIELDS", ('X-"', "X]Y"), (5, 1), True),
        ),
        (b"BODY[ HEADER.FIELDS ( DATE ) ]", Section((), "HEADER.FIELDS", ("DATE",))),
        (b"BINARY[1.2]", Section((1, 2), what="BINARY")),
        (b"BINARY[]", Section(what="BINARY")),
        (b"BINARY.PEEK[1]<0.5>", Section((1,), "", (), (0, 5), True, "BINARY")),
        (b"BINARY.SIZE[3]", Section((3,), is_peek=True, what="BINARY.SIZE")),
    ],
)
def test_section_is_understood(text: bytes, section: Section) -> None:
    assert read(b"FETCH 1 " + text) == read(b"FETCH 1 (%b)" % text) == Fetch(ONE, (section,))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"()", b"FROB", b"(FLAGS", b"FLAGS)", b"FLAGS UID", b"(FLAGS,UID)", b"(FLAGSUID)", b"FLAGS[]", b"RFC822[]",
        b"BODY[", b"BODY]", b"BODY[FROB]", b"BODY[MIME]", b"BODY[1.]", b"BODY[.1]", b"BODY[1..2]", b"BODY[0]",
        b"BODY[1.0]", b"BODY[1TEXT]", b"BODY[TEXT.1]", b"BODY[4294967296]", b"BODY[1.%b]" % (b"9" * 5000), b"BODY[-1]",
        b"BODY[HEADER.FIELDS]", b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER.FIELDS DATE]", b"BODY[HEADER (DATE)]",
        b'BODY[HEADER.FIELDS ("")]', b'BODY[HEADER.FIELDS ("a b")]', b"BODY[HEADER.FIELDS (a:)]",
        b"BODY[HEADER.FIELDS ({3}\r\na\r\n)]", b'BODY[HEADER.FIELDS ("\xff")]', b"BODY[]<0>", b"BODY[]<0.0>",
        b"BODY[]<.1>", b"BODY[]<0.1", b"BODY[]<-1.1>", b"BODY[]<0.9223372036854775808>", b"BODY[]<0.1><0.1>",
        b"BODY []", b"BODY.SIZE[1]", b"BINARY", b"BINARY[TEXT]", b"BINARY[1.MIME]", b"BINARY.SIZE[1]<0.1>", b"[]",
        b"FLAGS (FROB)", b"FLAGS ()", b"FLAGS (CHANGEDSINCE)", b"FLAGS (CHANGEDSINCE x)", b"FLAGS (VANISHED)",
        b"FLAGS (CHANGEDSINCE 1 VANISHED)", b"FLAGS (CHANGEDSINCE 9223372036854775808)", b"\xff", b"FLAGS\0",
    ],
)  # fmt: skip
def test_what_is_no_fetch_is_bad(text: bytes) -> None:
    assert answer(b"FETCH 1 " + text) == "BAD"


@pytest.mark.parametrize(
    ("wire", "command"),
    [
        (b"UID FETCH 1 FLAGS", Fetch(ONE, (Item("FLAGS"),), is_uid=True)),
        (b"uid fetch 1 (uid flags UID)", Fetch(ONE, (Item("UID"), Item("FLAGS")), is_uid=True)),
        (b"FETCH 1 FLAGS (CHANGEDSINCE 12345)", Fetch(ONE, (Item("FLAGS"),), changed_since=12345)),
        (b"UID FETCH 1 FLAGS (CHANGEDSINCE 0 VANISHED)", Fetch(ONE, (Item("FLAGS"),), True, 0, wants_vanished=True)),
        (b"STORE 1 FLAGS (\\deleted)", Store(ONE, "replace", ("\\Deleted",))),
        (b"STORE 1 flags ()", Store(ONE, "replace", ())),
        (b"STORE 1 +FLAGS \\Seen", Store(ONE, "add", ("\\Seen",))),
        (b"STORE 1 -FLAGS.silent (\\Seen $Junk \\SEEN)", Store(ONE, "remove", ("\\Seen", "$Junk"), is_silent=True)),
        (b"UID STORE 1 +FLAGS \\Flagged NonJunk", Store(ONE, "add", ("\\Flagged", "NonJunk"), is_uid=True)),
        (
            b"STORE 1 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
            Store(ONE, "add", ("\\Deleted",), is_silent=True, unchanged_since=12121230045),
        ),
        (b"COPY 2:4 MEETING", Copy(numbers((2, 4)), "MEETING")),
        (b"UID COPY $ inbox", Copy(Numbers(is_saved=True), "INBOX", is_uid=True)),
        (b"MOVE 1 {5+}\r\nTrash", Move(ONE, "Trash")),
        (b'UID MOVE 1 "Entw&APw-rfe"', Move(ONE, "Entwürfe", is_uid=True)),
    ],
)
def test_command_on_letters_is_understood(wire: bytes, command: Command) -> None:
    assert read(wire) == command


@pytest.mark.parametrize(
    "wire",
    [
        b"STORE 1", b"STORE 1 FLAGS", b"STORE 1 +FLAGS ", b"STORE 1 *FLAGS (x)", b"STORE 1 + FLAGS (x)",
        b"STORE 1 FLAGSX x", b"STORE 1 FLAGS.LOUD (x)", b"STORE 1 FLAGS (\\Recent)", b"STORE 1 FLAGS (\\Frob)",
        b"STORE 1 FLAGS (\\*)", b"STORE 1 FLAGS (\\)", b"STORE 1 FLAGS (a]b)", b'STORE 1 FLAGS ("a")',
        b"STORE 1 FLAGS (\xc3\xa9)", b"STORE 1 FLAGS (a) b", b"STORE 1 FLAGS a)", b"STORE 1 () FLAGS a",
        b"STORE 1 (UNCHANGEDSINCE) FLAGS a", b"STORE 1 (CHANGEDSINCE 1) FLAGS a", b"STORE 1 (UNCHANGEDSINCE 1)FLAGS a",
        b"COPY 1", b"COPY x y", b"COPY 1 x y", b"MOVE 1", b"UID EXPUNGE", b"UID EXPUNGE 1 2", b"UID UID FETCH 1 FLAGS",
        b"UID NOOP", b"UID SORT (DATE) UTF-8 ALL", b"FETCH", b"FETCH 1", b"UID FETCH 1:*", b"SORT (DATE) UTF-8 ALL",
    ],
)  # fmt: skip
def test_what_is_no_command_on_letters_is_bad(wire: bytes) -> None:
    assert answer(wire) == "BAD"


def test_flags_and_items_are_bounded() -> None:
    assert answer(b"STORE 1 +FLAGS (%b)" % b" ".join(b"k%d" % each for each in range(101))) == "NO [LIMIT]"
    assert answer(b"STORE 1 +FLAGS (%b)" % (b"k" * 256)) == "NO [LIMIT]"
    assert answer(b"FETCH 1 (%b)" % b" ".join(b"BODY[]<%d.1>" % each for each in range(251))) == "NO [LIMIT]"
    # The same a thousand times is asked for once.
    assert read(b"FETCH 1 (%b)" % b" ".join([b"BODY[]"] * 1000)) == Fetch(ONE, (Section(),))
