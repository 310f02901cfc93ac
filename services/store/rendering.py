"""The process in which letters are looked into: `python -m services.store.rendering`, started by renderer.py.

Strangers write what is parsed here, so it happens where it can be killed, with little memory and little time. Each
request on standard input is its kind, an argument and so many letters (or their heads), each behind its length; each
answer is its length and what the kind says.
"""

import resource
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import BinaryIO

import orjson

from services.store.mime.rendering import Rendering, bare, pack, render, unpack
from services.store.mime.text import contains
from services.store.summary import Summary, empty, summarise

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 5
# What is written at once; a pipe takes 64 KiB, and who writes has others to serve.
PIECE_BYTES = 256 * 1024
NUMBER = struct.Struct(">I")
_REQUEST = struct.Struct(">BII")
_OUT_OF_BOUNDS = (MemoryError, RecursionError)


class Kind(IntEnum):
    """What is asked of letters."""

    # Of their heads; the answer is JSON.
    SUMMARIES = 1
    # The answer is one packed rendering for each, behind its length.
    RENDERINGS = 2
    # Argument: b"h" or b"b", with headers or the body alone, and the casemapped needle. The answer: a byte for each.
    CONTAINING = 3


def request(kind: Kind, argument: bytes, letters: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """The bytes that ask, in pieces of about PIECE_BYTES."""
    gathered = bytearray(_REQUEST.pack(kind, len(argument), len(letters)) + argument)
    for letter in letters:
        gathered += NUMBER.pack(len(letter))
        if len(letter) < PIECE_BYTES:
            gathered += letter
        if len(gathered) >= PIECE_BYTES or len(letter) >= PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
        if len(letter) >= PIECE_BYTES:
            view = memoryview(letter)
            yield from (view[start : start + PIECE_BYTES] for start in range(0, len(letter), PIECE_BYTES))
    yield bytes(gathered)


def renderings(answer: bytes) -> list[Rendering]:
    """Those of an answer. Raises ValueError."""
    found, start = [], 0
    while start < len(answer):
        (length,) = NUMBER.unpack_from(answer, start)
        start += NUMBER.size + length
        found.append(unpack(answer[start - length : start]))
    return found


def main() -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stream = sys.stdin.buffer
    while asked := stream.read(_REQUEST.size):
        _allow_time()
        kind, argument_bytes, count = _REQUEST.unpack(asked)
        argument = stream.read(argument_bytes)
        answer = ANSWERS[Kind(kind)](argument, [_letter(stream) for _ in range(count)])
        sys.stdout.buffer.write(NUMBER.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()


def _letter(stream: BinaryIO) -> bytes:
    return stream.read(NUMBER.unpack(stream.read(NUMBER.size))[0])


def _allow_time() -> None:
    """The limit counts from the process's start, so each request moves it on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _summaries(_argument: bytes, heads: list[bytes]) -> bytes:
    return orjson.dumps([_summary(head) for head in heads])


def _summary(head: bytes) -> Summary:
    try:
        return summarise(head)
    except _OUT_OF_BOUNDS:
        return empty()


def _renderings(_argument: bytes, letters: list[bytes]) -> bytes:
    packed = [pack(_rendering(letter)) for letter in letters]
    return b"".join(piece for one in packed for piece in (NUMBER.pack(len(one)), one))


def _rendering(letter: bytes) -> Rendering:
    try:
        return render(letter)
    except _OUT_OF_BOUNDS:
        return bare(letter)


def _containing(argument: bytes, letters: list[bytes]) -> bytes:
    needle = argument[1:].decode()
    return bytes(_contains(letter, needle, argument[:1] == b"h") for letter in letters)


def _contains(letter: bytes, needle: str, in_headers: bool) -> bool:
    try:
        return contains(letter, needle, in_headers)
    except _OUT_OF_BOUNDS:
        return False


ANSWERS: dict[Kind, Callable[[bytes, list[bytes]], bytes]] = {
    Kind.SUMMARIES: _summaries,
    Kind.RENDERINGS: _renderings,
    Kind.CONTAINING: _containing,
}


if __name__ == "__main__":
    main()
