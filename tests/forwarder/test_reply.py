"""Replies from bytes: what is one, what is none, and that the cutting of the bytes does not matter."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.forwarder.reply import MOST_LINE, MOST_LINES, MOST_TEXT, Reply, ReplyReader


def _read(*pieces: bytes) -> tuple[list[Reply], str | None]:
    reader = ReplyReader()
    replies = [reply for piece in pieces for reply in reader.feed(piece)]
    return replies, reader.garbled


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"250 2.0.0 Ok\r\n", [(250, b"2.0.0 Ok")]),
        (b"250 Ok\n", [(250, b"Ok")]),
        (b"250\r\n", [(250, b"")]),
        (b"250 \r\n", [(250, b"")]),
        (b"354 Go on\r\n250 Ok\r\n", [(354, b"Go on"), (250, b"Ok")]),
        (b"250-main.test\r\n250-SIZE 0\r\n250 8BITMIME\r\n", [(250, b"main.test\nSIZE 0\n8BITMIME")]),
        (b"550-\r\n550 no\r\n", [(550, b"\nno")]),
        # As Postfix has it: the last line's code counts.
        (b"250-yes\r\n550 no\r\n", [(550, b"yes\nno")]),
        (b"250 caf\xe9\r\n", [(250, b"caf\xe9")]),
        (b"250 half", []),
        (b"250-half\r\n", []),
    ],
)
def test_a_reply_is_three_digits_and_text_over_one_line_or_more(data: bytes, replies: list[tuple[int, bytes]]) -> None:
    assert _read(data) == ([Reply(*reply) for reply in replies], None)


@pytest.mark.parametrize(
    "data",
    [b"\r\n", b"hello\r\n", b"25\r\n", b"2500 Ok\r\n", b"199 Ok\r\n", b"600 Ok\r\n", b"250_Ok\r\n", b" 250 Ok\r\n"],
)
def test_after_what_is_no_reply_nothing_is_read(data: bytes) -> None:
    replies, garbled = _read(b"220 hi\r\n" + data + b"250 Ok\r\n", b"250 Ok\r\n")
    assert replies == [Reply(220, b"hi")]
    assert garbled is not None
    assert garbled.startswith("no reply")


def test_a_line_without_end_takes_no_more_memory_than_is_kept_of_it() -> None:
    reader = ReplyReader()
    for _ in range(1000):
        reader.feed(b"250 " + b"x" * 1000)
    assert len(reader._rest) == MOST_LINE
    (reply,) = reader.feed(b"\r\n")
    assert (reply.code, len(reply.said), len(reply.text)) == (250, MOST_LINE - 4, MOST_TEXT)


def test_a_reply_without_end_is_none() -> None:
    replies, garbled = _read(b"250-more\r\n" * (MOST_LINES + 1))
    assert (replies, garbled) == ([], f"a reply of more than {MOST_LINES} lines")


def test_a_reply_s_text_can_be_stored_whatever_was_said() -> None:
    (reply,), _ = _read(b"550 \xff\xfe\xe4\r\n")
    assert reply.text == "\ufffd\ufffd\ufffd"


_LINES = st.sampled_from(
    [b"250 Ok\r\n", b"250-more\r\n", b"354 Go on\n", b"550\r\n", b"garbage\r\n", b"250 " + b"y" * 3000 + b"\r\n", b"25"]
)


@given(st.lists(_LINES | st.binary(max_size=6), max_size=12), st.lists(st.integers(0, 4000), max_size=20))
def test_however_the_bytes_are_cut_the_replies_are_the_same(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(lines)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    assert _read(*pieces) == _read(data)


@given(st.lists(_LINES | st.binary(max_size=6), max_size=8))
def test_a_byte_at_a_time_the_replies_are_the_same(lines: list[bytes]) -> None:
    data = b"".join(lines)
    assert _read(*[data[place : place + 1] for place in range(len(data))]) == _read(data)
