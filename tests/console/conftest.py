"""The command as a process, before a running API on a real database and broker."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.settings import PREFIX
from tests.kit.scope import Scope
from tests.store.web.conftest import TOKEN, Door, opened_door, store_settings


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Command:
    """`understudy`, with an environment."""

    environment: Mapping[str, str]
    folder: Path

    async def start(self, *arguments: str, **more: str) -> asyncio.subprocess.Process:
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.console.main",
            *arguments,
            env={**own, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200", **self.environment, **more},
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: str, given: bytes = b"", **more: str) -> Done:
        process = await self.start(*arguments, **more)
        out, err = await asyncio.wait_for(process.communicate(given), 60)
        assert process.returncode is not None
        return Done(process.returncode, out, err.decode())

    async def good(self, *arguments: str, given: bytes = b"", **more: str) -> Done:
        done = await self(*arguments, given=given, **more)
        assert (done.code, done.err) == (0, ""), f"{arguments}: {done}"
        return done

    async def refused(self, *arguments: str, given: bytes = b"", **more: str) -> str:
        """The one line that says why."""
        done = await self(*arguments, given=given, **more)
        assert done.code == 1, f"{arguments}: {done}"
        lines = done.err.splitlines()
        assert len(lines) == 1, done.err
        return lines[0]


@pytest.fixture(scope="module")
async def door(kafka_bootstrap: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    scope = Scope.new(kafka_bootstrap, mongodb_url)
    await scope.make_topics()
    async with opened_door(scope, store_settings(scope, tmp_path_factory.mktemp("store"))) as door:
        yield door
    await scope.drop()


@pytest.fixture
def understudy(door: Door, tmp_path: Path) -> Command:
    """The command as an administrator's environment has it."""
    named = {f"{PREFIX}API": door.base_url, f"{PREFIX}TOKEN": TOKEN}
    return Command({**door.scope.environment(), **named}, tmp_path)


@pytest.fixture
def data_folder(door: Door, tmp_path: Path) -> Path:
    """As `make run` leaves it for others to join."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin-token").write_text(f"{TOKEN}\n")
    (data / "ports.json").write_text(json.dumps({"http": int(door.base_url.rpartition(":")[2])}))
    lines = [f"{name}='{value}'" for name, value in door.scope.environment().items()]
    (data / "settings.env").write_text("\n".join([*lines, f"{PREFIX}API='{door.base_url}'"]) + "\n")
    return data
