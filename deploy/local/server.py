"""A real server as a process of ours, on a folder of its own: start again on the same folder and the data is there."""

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ClassVar, Self

from deploy.local.errors import CannotStart
from deploy.local.leash import leashed
from deploy.local.ports import free_port

# Begins a line in a program's log that is ours.
NOTE = "--- "

# The kernel kills a leashed process when the thread that started it ends: one thread starts all and stays to the end.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")


FREEZE_SECONDS = 5.0


def spawn(command: list[str], log: IO[bytes], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `command` leashed, in a session of its own, so that Ctrl-C reaches it only through us."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            leashed(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            start_new_session=True,
        )

    return _starter.submit(start).result()


def freeze(pid: int) -> None:
    """Stop a process where it is; returns when each of its threads stands still. On Linux: elsewhere it may run on for
    a moment."""
    os.kill(pid, signal.SIGSTOP)
    ends = time.monotonic() + FREEZE_SECONDS
    while time.monotonic() < ends and any(_runs(thread) for thread in Path(f"/proc/{pid}/task").glob("*/stat")):
        time.sleep(0.001)


def _runs(stat: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] not in "Ttz"
    return False


class Server(ABC):
    """Kafka or mongod on loopback. `start` returns when it serves; `prepare` and `command` are for a supervisor."""

    name: ClassVar[str]
    # How long a sound stop takes at most, before the process is killed.
    stop_seconds: ClassVar[float] = 20.0

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """What the folder needs before the program can start on it; safe to repeat."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    def environment(self) -> dict[str, str]:
        """Variables of the program beyond our own."""
        return {}

    @abstractmethod
    def is_serving(self) -> bool:
        """Whether it answers as a server that a client can use. Never raises, takes a second at most."""

    @property
    def log(self) -> Path:
        """Where the program's output goes."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The running program's process id."""
        return self._running().pid

    def start(self, timeout_seconds: float = 60.0) -> None:
        """Start, and wait until it serves.

        Raises:
            CannotStart: it ended, or did not serve in time; nothing is left running.
        """
        self.launch()
        self.wait_until_serving(timeout_seconds)

    def launch(self) -> None:
        """Start without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            self._process = spawn(self.command(), log, {**os.environ, **self.environment()})

    def wait_until_serving(self, timeout_seconds: float = 60.0) -> None:
        """Wait for a launched server; see `start`."""
        until = time.monotonic() + timeout_seconds
        while not self.is_serving():
            code = self._running().poll()
            if code is not None or time.monotonic() > until:
                self.kill()
                deed = f"ended with code {code}" if code is not None else f"was not ready in {timeout_seconds:.0f} s"
                raise CannotStart(f"{self.name} {deed}: {last_line(self.log)} (all of it: {self.log})")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order; killed if it takes too long. Nothing happens if it does not run."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        freeze(self.pid)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def last_line(log: Path) -> str:
    """The last thing that a program said, for a one-line error."""
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[-4096:].decode(errors="replace").split("\n")
        said = (line.strip()[:300] for line in reversed(lines) if line.strip() and not line.startswith(NOTE))
        return next(said, "it said nothing")
    return "it said nothing"
