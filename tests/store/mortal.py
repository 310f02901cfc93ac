"""The process in which letters are looked into, except that some are its death: `python -m tests.store.mortal`."""

import os
import signal
from collections.abc import Callable

from services.store import rendering

POISON = b"poison"

Answer = Callable[[bytes, list[bytes]], bytes]


def mortal(answer: Answer) -> Answer:
    """`answer`, unless one of the letters is deadly."""

    def tasted(argument: bytes, letters: list[bytes]) -> bytes:
        if any(POISON in letter for letter in letters):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(argument, letters)

    return tasted


if __name__ == "__main__":
    rendering.ANSWERS.update({kind: mortal(answer) for kind, answer in rendering.ANSWERS.items()})
    rendering.main()
