"""Start and stop of a service's process."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import uvloop

from shared import failpoints, logs
from shared.niceness import step_behind
from shared.settings import Common, SettingsError, shown

Main = Callable[[asyncio.Event], Awaitable[None]]

MOST_FILES = 65_536


def run(service: str, settings: Common, main: Main) -> NoReturn:
    """Run `main` until it returns; SIGTERM and SIGINT set the event that it is handed. Ends the process.

    `main` bounds its own shutdown. Exit code 0; 1 after an error, which is logged.
    """
    step_behind(settings.nice)
    allow_many_files()
    logs.configure(service, settings.log_format, settings.log_level)
    failpoints.arm(settings.failpoints)
    try:
        uvloop.run(_until_signalled(main, settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except Exception:
        logs.get("run").exception("service_failed")
        raise SystemExit(1) from None
    logs.get("run").info("service_stopped")
    raise SystemExit(0)


def allow_many_files() -> None:
    """A shell's usual 1,024 are fewer than the connections to a thousand main servers, and one that has no file left to
    connect with takes each of them for dead. As many as we may have without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _until_signalled(main: Main, settings: Common) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Said once a signal ends us in order: whoever waits for this line may send one at once.
    logs.get("run").info("service_started", pid=os.getpid(), settings=shown(settings))
    await main(stop)


async def beside(stop: asyncio.Event, *parts: Awaitable[None]) -> None:
    """Run `parts` beside each other until `stop` is set and they have returned.

    A part that ends by itself or fails before that ends them all: a service that has lost a part must be started
    again whole, not limp on.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)


async def guarded(task: "asyncio.Future[None]", stop: asyncio.Event) -> None:
    """A part for `beside` that stands for a task which has to outlive it: fails when the task does, ends at `stop`."""
    stopping = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [task, stopping]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        stopping.cancel()
