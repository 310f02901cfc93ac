"""What letters' headers say, and that nothing in them breaks the saying."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.renderer import Renderer
from services.store.summary import LONGEST_TEXT, empty, shown_text, summarise

TEXTS = [
    (b"plain", "plain"),
    (b"", ""),
    (b"=?utf-8?q?J=C3=BCrgen?= <j@x.test>", "Jürgen <j@x.test>"),
    (b"=?UTF-8?B?SsO8cmdlbg==?=", "Jürgen"),
    (b"=?UTF-8?B?SsO8cmdlbg?=", "Jürgen"),
    (b"=?iso-8859-1?q?a=FC_b?=", "aü b"),
    (b"=?utf-8*de?q?=C3=BC?=", "ü"),
    (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
    (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
    # One character, cut in two by the sender.
    (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
    (b"=?utf-8?b?w7w=?==?utf-8?b?w7w=?=", "üü"),
    (b"J\xc3\xbcrgen", "Jürgen"),
    (b"J\xfcrgen \x93x\x94", "Jürgen “x”"),
    (b"=?x-unknown?q?abc=FC?=", "abc\ufffd"),
    (b"=?hex?q?6162?=", "6162"),
    (b"=?undefined?q?abc?=", "abc"),
    (b"=?raw_unicode_escape?q?=5Cud800?=", "\ufffd"),
    (b"=?utf-16?b?ANg=?=", "\ufffd"),
    (b"=?utf-7?q?+2AA-?=", "\ufffd"),
    (b"=?utf-8?q?a=0D=0Ab=00c?=", "a b c"),
    (b"=?utf-8?b?!?=", ""),
    (b"=?utf-8?b?A?=", "?"),
    (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    (b"=?utf-8?q?abc", "=?utf-8?q?abc"),
    (b"a\x00b\x1b[31mc", "a b [31mc"),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_a_header_is_shown_as_a_person_reads_it(value: bytes, text: str) -> None:
    assert shown_text(value) == text


def test_a_letter_is_summed_up() -> None:
    letter = (
        b"Received: from a\r\n\tby b;\r\n\tMon, 1 Jan 2024 10:00:00 +0000\r\n"
        b"FROM: Ann <ann@x.test>\r\nto : bob@x.test,\r\n carl@x.test\r\n"
        b"Subject: =?utf-8?q?gr=C3=BC?=\r\n =?utf-8?q?n?=\r\nSubject: second\r\n"
        b"Date: Mon, 1 Jan 2024 10:00:00 +0100 (CET)\r\n\r\nFrom: body@x.test\r\n"
    )
    assert summarise(letter) == {
        "from": "Ann <ann@x.test>",
        "to": "bob@x.test, carl@x.test",
        "subject": "grün",
        "date": "2024-01-01T09:00:00.000Z",
    }


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"yesterday",
        b"Mon, 99 Foo 2024 10:00:00 +0100",
        b"1 Jan 99999 00:00:00 +0000",
        b"1 Jan 2024 10:00:00 +999999999999999999",
        b"\xff" * 50,
        b"1" * 5000,
    ],
)
def test_what_is_no_date_is_none(date: bytes) -> None:
    assert summarise(b"Date: " + date + b"\r\n\r\n")["date"] is None


@pytest.mark.parametrize("letter", [b"", b"\r\n", b"\x00" * 200, b"\xff\xfe", b"no header\r\n\r\n", b" folded\r\n"])
def test_a_letter_without_headers_has_an_empty_summary(letter: bytes) -> None:
    assert summarise(letter) == empty()


def test_a_line_that_is_no_header_hides_nothing() -> None:
    assert summarise(b"garbage\r\nSubject: x\r\n\r\n")["subject"] == "x"


def test_long_headers_are_cut() -> None:
    assert summarise(b"Subject: " + b"x" * 90_000 + b"\r\n\r\n")["subject"] == "x" * LONGEST_TEXT
    folded = b"Subject: x\r\n" + b" y\r\n" * 20_000
    assert len(summarise(folded)["subject"]) == LONGEST_TEXT
    assert summarise(b"X: " + b"x" * 200_000 + b"\r\nSubject: too late\r\n\r\n")["subject"] == ""


HOSTILE = [
    b"=?" * 50_000,
    b"=?a?b?" * 17_000,
    b"=?utf-8?q?a?= " * 7_000,
    b"?= =?" * 20_000,
    b"?=" + b" " * 100_000,
    b"=?utf-8?b?" + b"A" * 100_000 + b"?=",
    b"=?punycode?q?" + b"a-b" * 5_000 + b"?=",
    b"(" * 100_000,
    b'"' * 100_000,
    b"<" * 100_000,
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", [b"From: ", b"Date: "])
def test_hostile_headers_cost_little(name: bytes, value: bytes) -> None:
    began = time.process_time()
    summarise(name + value + b"\r\n\r\n")
    assert time.process_time() - began < 1


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_summary(letter: bytes) -> None:
    summary = summarise(b"Subject: " + letter)
    for text in (summary["from"], summary["to"], summary["subject"], summary["date"] or ""):
        text.encode()


@given(st.text(alphabet="=?utf-8bqBQ_ \r\n\t*AZaz09+/é\\ud", max_size=200))
@settings(max_examples=300)
def test_any_encoded_word_gives_text_that_can_be_kept(value: str) -> None:
    text = shown_text(value.encode())
    text.encode()
    assert len(text) <= LONGEST_TEXT
    assert "\n" not in text


async def test_a_renderer_that_dies_is_made_again_and_only_what_kills_it_is_empty() -> None:
    renderer = Renderer()
    good = b"Subject: good\r\n\r\n"
    try:
        assert (await renderer.summaries([good]))[0]["subject"] == "good"
        process = renderer._process
        assert process is not None
        process.kill()
        await process.wait()
        answers = await renderer.summaries([good, b"", good])
        assert [answer["subject"] for answer in answers] == ["good", "", "good"]
    finally:
        await renderer.close()


async def test_a_renderer_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.store.renderer.BATCH_SECONDS", 0.5)
    renderer = Renderer()
    try:
        await renderer.summaries([b""])
        process = renderer._process
        assert process is not None
        process.send_signal(19)  # SIGSTOP
        began = time.monotonic()
        assert (await renderer.summaries([b"Subject: x\r\n\r\n"]))[0]["subject"] == "x"
        assert time.monotonic() - began < 15
        assert process.returncode is not None
    finally:
        await renderer.close()
