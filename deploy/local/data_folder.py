"""The data folder: one run at a time, room enough, and what it tells others about the run."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local.errors import CannotStart
from deploy.local.supervise import write_whole

# Kafka's and MongoDB's files before the first letter are 0.4 GB.
LEAST_FREE_BYTES = 1024**3


def folder_from_environment() -> Path:
    """UNDERSTUDY_DATA, or `.data` where we are."""
    return Path(os.environ.get("UNDERSTUDY_DATA") or ".data").resolve()


@contextlib.contextmanager
def held(data: Path) -> Iterator[None]:
    """Have the folder to ourselves while the block runs; the kernel frees it if we are killed.

    Raises:
        CannotStart: another run holds it, or it cannot be written, or the disk is full.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("a+")
    except OSError as error:
        raise CannotStart(f"{data} cannot be written ({error.strerror}): name another folder with DATA=") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise CannotStart(
                f"{data} is in use by a running Understudy (process {holder}): stop that one, or name another "
                "folder with DATA="
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _check_room(data)
        yield


def _check_room(data: Path) -> None:
    free = shutil.disk_usage(data).free
    if free < LEAST_FREE_BYTES:
        raise CannotStart(
            f"only {free / 1e6:.0f} MB are free where {data} is, and 1 GB is needed: make room, or name a folder "
            "elsewhere with DATA="
        )


def write_ports(data: Path, ports: Mapping[str, int]) -> None:
    """Tell which port is whose."""
    write_whole(data / "ports.json", json.dumps(dict(ports), indent=1) + "\n")


def forget_run(data: Path) -> None:
    """What was true of a run that is over."""
    for name in ("ports.json", "processes.json"):
        (data / name).unlink(missing_ok=True)


def forget_settings(data: Path) -> None:
    """The last run's settings must not pass for what a person set for this one."""
    (data / "settings.env").unlink(missing_ok=True)


def write_settings(data: Path, settings: Mapping[str, str]) -> None:
    """Tell the command line, and services that join this run, what its services were told."""
    lines = [f"{name}='{_quoted(value)}'" for name, value in sorted(settings.items())]
    write_whole(data / "settings.env", "\n".join(lines) + "\n", mode=0o600)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
