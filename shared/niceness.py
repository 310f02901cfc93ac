"""Lets a process step behind others: as a function, and as `python niceness.py NICENESS PROGRAM ARGUMENT...`

Where a desktop's or a plain server's Linux groups processes by session (sched(7), "The autogroup feature"), niceness
counts only among those of one session. Ours each have their own, so that without a word to the group it does nothing.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
# Who is not root may set one only every tenth of a second, all processes of the machine together.
_TRIES = 20
_AGAIN_SECONDS = 0.1


def step_behind(niceness: int) -> None:
    """Make this process, before it has threads, so nice (0 to 19) to the others."""
    if not niceness:
        return
    os.nice(niceness)
    # A session shared with others, as a shell's, is not ours to slow down.
    if os.getsid(0) == os.getpid():
        # Not on every system, and not where control groups divide the processor instead.
        with contextlib.suppress(OSError):
            _tell_group(niceness)


def _tell_group(niceness: int) -> None:
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def behind(niceness: int, command: list[str]) -> list[str]:
    """`command`, so that it steps behind others before it begins."""
    return [sys.executable, "-ISE", str(Path(__file__).resolve()), str(niceness), *command]


def main() -> None:
    step_behind(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
