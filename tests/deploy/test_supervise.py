"""Who dies is started again, and nobody is left when the supervisor ends, however it ends."""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from deploy.local.supervise import Patience, Program, Supervisor, cap

QUICK = Patience(first_restart_seconds=0.1, last_restart_seconds=0.4, sound_life_seconds=1.0, stop_seconds=1.0)
SLEEPS = "import time; time.sleep(600)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEPS}"


def program(name: str, code: str, stop_rank: int = 0) -> Program:
    return Program(name, [sys.executable, "-c", code], dict(os.environ), stop_rank)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path, QUICK)
    yield supervisor
    await supervisor.stop()


async def until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


async def test_killed_process_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(program("one", SLEEPS))
    first = supervisor.pids["one"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids.get("one") not in (None, first))
    assert json.loads((tmp_path / "processes.json").read_text()) == supervisor.pids


async def test_process_that_keeps_dying_is_started_ever_later(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "starts"
    await supervisor.start(program("one", f"import time; print(time.time(), file=open({str(log)!r}, 'a'))"))
    await until(lambda: supervisor.deaths["one"] >= 5)
    starts = [float(line) for line in log.read_text().split()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps[1] > gaps[0] + 0.05
    assert gaps[2] > gaps[1] + 0.1
    assert max(gaps) < 0.4 + 0.5, "the longest wait is bounded"


async def test_ranks_end_one_after_the_other(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, QUICK)
    ended = tmp_path / "ended"
    says_when = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    time.sleep(0.2); print(sys.argv[0], '{{0}}', file=open({str(ended)!r}, 'a')); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    )
    for name, rank in (("last", 2), ("first", 0), ("second", 1)):
        await supervisor.start(program(name, says_when.replace("{0}", name), rank))
    await until(lambda: all("ready" in supervisor.log(name).read_text() for name in supervisor.pids))
    await supervisor.stop()
    assert [line.split()[1] for line in ended.read_text().splitlines()] == ["first", "second", "last"]


async def test_deaf_and_frozen_processes_are_killed_at_the_end(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, QUICK)
    await supervisor.start(program("deaf", IGNORES_SIGTERM))
    await supervisor.start(program("frozen", SLEEPS))
    await until(lambda: "deaf" in supervisor.log("deaf").read_text())
    os.kill(supervisor.pids["frozen"], signal.SIGSTOP)
    pids = list(supervisor.pids.values())
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 3
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not (tmp_path / "processes.json").exists()


async def test_what_a_process_had_started_dies_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); open({str(child)!r}, 'w').write(str(p.pid)); p.wait()"  # noqa: E501
    await supervisor.start(program("parent", code))
    await until(lambda: child.exists() and bool(child.read_text()))
    os.kill(supervisor.pids["parent"], signal.SIGKILL)
    await until(lambda: not _is_alive(int(child.read_text().split()[0])))


async def test_killed_supervisor_leaves_no_process_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys, pathlib\n"
        "from deploy.local.supervise import Program, Supervisor\n"
        "async def main():\n"
        f"    supervisor = Supervisor(pathlib.Path({str(tmp_path)!r}))\n"
        f"    await supervisor.start(Program('one', [sys.executable, '-c', {IGNORES_SIGTERM!r}], dict(os.environ)))\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    try:
        await until(lambda: (tmp_path / "processes.json").exists())
        (pid,) = json.loads((tmp_path / "processes.json").read_text()).values()
        assert _is_alive(pid)
    finally:
        running.kill()
        await running.wait()
    await until(lambda: not _is_alive(pid))


def test_long_log_is_set_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 2000)
        cap(log, 1000)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "one.log.1").stat().st_size == 2000


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
