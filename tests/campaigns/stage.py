"""Where a campaign is played: the whole product on servers of its own; its figures end in a table."""

import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import uvloop
from rich.console import Console
from rich.table import Table

from tests.kit.scope import Scope
from tests.kit.servers import Servers, servers
from tests.kit.system import System, running

ANN = "ann@example.test"

# What was counted, and the figure.
Rows = list[tuple[str, object]]
# The product with settings of the caller's own, for the length of a block.
Run = Callable[..., contextlib.AbstractAsyncContextManager[System]]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Stage:
    """The product, and the servers under it, which a campaign may harm."""

    system: System
    servers: Servers


@contextlib.asynccontextmanager
async def set_up(**settings: Any) -> AsyncIterator[Stage]:
    """The product with user ann, whose letters go to a plain main server."""
    with servers() as pair, tempfile.TemporaryDirectory(prefix="understudy-campaign-") as folder:
        scope = Scope.new(pair.kafka.bootstrap, pair.mongod.url)
        await scope.make_topics()
        async with running(scope, Path(folder), **settings) as system:
            await system.add_user(ANN)
            yield Stage(system, pair)


async def on_own_servers(part: Callable[[Run], Awaitable[R]], *, mongod_niceness: int = 0) -> R:
    """Play a part that runs the product itself, with settings of its own."""
    with (
        servers(mongod_niceness=mongod_niceness) as pair,
        tempfile.TemporaryDirectory(prefix="understudy-campaign-") as folder,
    ):
        scope = Scope.new(pair.kafka.bootstrap, pair.mongod.url)
        await scope.make_topics()
        return await part(partial(running, scope, Path(folder)))


def play(name: str, campaign: Callable[[], Awaitable[Table]]) -> NoReturn:
    """Play it, print its table, and end the process: 0, or 1 where what it promises did not hold."""

    async def whole() -> Table:
        return await campaign()

    began = time.monotonic()
    try:
        table = uvloop.run(whole())
    except AssertionError as error:
        print(f"{name}: broken promise\n{error}", file=sys.stderr)
        # What broke first, where the end of it all broke, too.
        while error.__context__ is not None:
            error = error.__context__  # type: ignore[assignment]
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    console = Console(width=120)
    console.print(table)
    console.print(f"{name}: held, in {time.monotonic() - began:.0f} s")
    raise SystemExit(0)


def of_rows(*rows: tuple[str, object]) -> Table:
    """Two columns: what was counted, and the figure."""
    table = Table("figure", "value")
    for what, value in rows:
        table.add_row(what, f"{value:.3f}" if isinstance(value, float) else str(value))
    return table


def peak_memory_mib(pid: int) -> float:
    """The most memory that a process has held."""
    return _memory_mib(pid, "VmHWM")


def memory_mib(pid: int) -> float:
    """What a process holds now."""
    return _memory_mib(pid, "VmRSS")


def _memory_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {name}")
