"""Starts a program that cannot outlive us: `python leash.py OUR_PID PROGRAM ARGUMENT...`

A supervisor that is killed outright runs no clean-up, and a Kafka left behind would hold the data folder. Linux kills
the program for us. It is a program of its own, not a preexec_fn, because code between fork and exec may deadlock in a
process with threads. The kernel watches the thread that started us, not the process: see `server.spawn`.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """`command`, so that it dies with the calling process; elsewhere than on Linux, as it is."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-ISE", str(Path(__file__).resolve()), str(os.getpid()), *command]


def main() -> None:
    """Ask for the signal, make sure that it was not asked for too late, and become the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
