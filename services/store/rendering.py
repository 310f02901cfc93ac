"""The process in which letters are looked into: `python -m services.store.rendering`, started by summaries.py.

Strangers write what is parsed here, so it happens where it can be killed, with little memory and little time. Each
request on standard input is a count and so many heads, each behind its length; each answer is one line of JSON.
"""

import resource
import struct
import sys
from typing import BinaryIO

import orjson

from services.store.summary import Summary, empty, summarise

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 5
NUMBER = struct.Struct(">I")


def request(heads: list[bytes]) -> bytes:
    """The bytes that ask for the summaries of `heads`."""
    return NUMBER.pack(len(heads)) + b"".join(NUMBER.pack(len(head)) + head for head in heads)


def main() -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while count := sys.stdin.buffer.read(NUMBER.size):
        _allow_time()
        heads = [_head(sys.stdin.buffer) for _ in range(NUMBER.unpack(count)[0])]
        sys.stdout.buffer.write(orjson.dumps([_summary(head) for head in heads]) + b"\n")
        sys.stdout.buffer.flush()


def _head(stream: BinaryIO) -> bytes:
    return stream.read(NUMBER.unpack(stream.read(NUMBER.size))[0])


def _allow_time() -> None:
    """The limit counts from the process's start, so each request moves it on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _summary(head: bytes) -> Summary:
    try:
        return summarise(head)
    except (MemoryError, RecursionError):
        return empty()


if __name__ == "__main__":
    main()
