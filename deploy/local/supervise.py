"""Keeps processes alive: one that dies is started again, and all of them end with us, in order.

`processes.json` in the data folder tells at any time what runs under which process id.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.leash import leashed
from deploy.local.server import NOTE

# A log above this is kept once as NAME.log.1 and begins anew: a disk full of logs would stop the mail.
LOG_BYTES = 20 * 1024 * 1024
LOG_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Program:
    """What to keep running. Those of a lower `stop_rank` end before the others are told to."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    stop_rank: int = 0


@dataclass(frozen=True)
class Patience:
    """How long to wait for what."""

    first_restart_seconds: float = 1.0
    last_restart_seconds: float = 30.0
    # Who lived this long did not die of his start.
    sound_life_seconds: float = 10.0
    # From SIGTERM to SIGKILL. There are three ranks, and all must be over in 30 s.
    stop_seconds: float = 9.0


class Supervisor:
    """Processes by name. For the main thread: the kernel ends a process when the thread that started it ends."""

    def __init__(
        self, folder: Path, patience: Patience | None = None, announce: Callable[[str], None] = lambda _: None
    ) -> None:
        self._folder = folder
        self._announce = announce
        self._patience = patience or Patience()
        self._kept: dict[str, tuple[Program, asyncio.Task[None]]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._is_stopping = False
        self._cap: asyncio.Task[None] | None = None
        self.deaths: dict[str, int] = {}

    @property
    def pids(self) -> dict[str, int]:
        """What runs now."""
        return {name: process.pid for name, process in self._running.items()}

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self._folder / "logs" / f"{name}.log"

    async def start(self, program: Program) -> None:
        """Start `program` and keep it running until `stop`."""
        self.log(program.name).parent.mkdir(parents=True, exist_ok=True)
        self.deaths[program.name] = 0
        if self._cap is None:
            self._cap = asyncio.create_task(self._cap_logs())
        await self._spawn(program)
        self._kept[program.name] = program, asyncio.create_task(self._keep(program))

    async def stop(self) -> None:
        """End everything, rank after rank; who does not go is killed."""
        self._is_stopping = True
        ranks = sorted({program.stop_rank for program, _ in self._kept.values()})
        for rank in ranks:
            names = [program.name for program, _ in self._kept.values() if program.stop_rank == rank]
            await asyncio.gather(*(self._end(name) for name in names))
        if self._cap is not None:
            self._cap.cancel()
        (self._folder / "processes.json").unlink(missing_ok=True)

    async def _keep(self, program: Program) -> None:
        delay = self._patience.first_restart_seconds
        while True:
            process = self._running[program.name]
            born = time.monotonic()
            await process.wait()
            _kill_group(process.pid)
            self._forget(program.name)
            if self._is_stopping:
                return
            self.deaths[program.name] += 1
            if time.monotonic() - born > self._patience.sound_life_seconds:
                delay = self._patience.first_restart_seconds
            self._note(program.name, f"ended with code {process.returncode}; started again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._patience.last_restart_seconds)
            await self._spawn(program)

    async def _spawn(self, program: Program) -> None:
        with self.log(program.name).open("ab") as log:
            self._running[program.name] = await asyncio.create_subprocess_exec(
                *leashed(program.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.env,
                start_new_session=True,
            )
        self._write_down()

    async def _end(self, name: str) -> None:
        _, task = self._kept[name]
        process = self._running.get(name)
        if process is None:
            # It is dead and waits for its next start.
            task.cancel()
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            process.send_signal(signal.SIGCONT)
        done, _ = await asyncio.wait([task], timeout=self._patience.stop_seconds)
        if not done:
            self._note(name, "did not end in time and is killed")
            _kill_group(process.pid)
            await asyncio.wait([task])

    def _forget(self, name: str) -> None:
        del self._running[name]
        self._write_down()

    def _write_down(self) -> None:
        write_whole(self._folder / "processes.json", json.dumps(self.pids, indent=1) + "\n")

    def _note(self, name: str, text: str) -> None:
        self._announce(f"{name} {text}")
        with self.log(name).open("a") as log:
            log.write(f"{NOTE}{name} {text}\n")

    async def _cap_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_LOOK_SECONDS)
            for name in self._kept:
                cap(self.log(name), LOG_BYTES)


def cap(log: Path, most_bytes: int) -> None:
    """Set a long log aside. Its writer holds it open for appending, so it is emptied rather than moved."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > most_bytes:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that readers see the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    fresh.replace(path)


def _kill_group(pid: int) -> None:
    """End also what the process itself had started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
