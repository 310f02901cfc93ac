"""One service as a process of its own, that a test may stop, kill, freeze and start again."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import LOOPBACK, NO_CERTIFICATES
from deploy.local.server import freeze, spawn
from tests.kit.patience import until

PROJECT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 30.0


class Process:
    """`python -m services.<service>`; `name` tells several of one service apart."""

    def __init__(self, name: str, folder: Path, ops_port: int) -> None:
        self.name = name
        self.ops_port = ops_port
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def service(self) -> str:
        return self.name.partition("-")[0]

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number where one killed it."""
        return self._process.poll() if self._process is not None else 0

    def launch(self, environment: Mapping[str, str]) -> None:
        """Start without waiting. What the test run has in its environment goes along, but for settings."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", f"services.{self.service}"]
            self._process = spawn(command, log, {**os.environ, "PYTHONPATH": str(PROJECT), **environment})

    async def is_ready(self) -> bool:
        """Fails when it has ended instead."""
        assert self.exit_code is None, f"{self.name} ended with code {self.exit_code}: {self.tail(5)}"
        return await self._answers("/ready")

    async def becomes_ready(self, within: float = 30.0) -> None:
        await until(self.is_ready, within=within, what=f"{self.name}'s readiness")

    async def is_live(self) -> bool:
        return await self._answers("/live")

    async def _answers(self, path: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            async with httpx.AsyncClient(timeout=2, verify=NO_CERTIFICATES) as client:
                return (await client.get(f"http://{LOOPBACK}:{self.ops_port}{path}")).status_code == 200
        return False

    async def metrics(self) -> dict[str, float]:
        """Each sample as `name` or `name{label=value,...}`, labels in the alphabet's order."""
        async with httpx.AsyncClient(timeout=5, verify=NO_CERTIFICATES) as client:
            text = (await client.get(f"http://{LOOPBACK}:{self.ops_port}/metrics")).text
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def has_ended(self, within: float = STOP_SECONDS) -> int:
        """Wait for its end; returns the exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within)

    async def stop(self) -> None:
        """SIGTERM, and an orderly end with code 0. A frozen one is thawed first."""
        if self._process is None or self.exit_code is not None:
            return
        self.thaw()
        self._process.terminate()
        try:
            code = await self.has_ended()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {STOP_SECONDS:.0f} s: {self.tail(5)}") from None
        assert code == 0, f"{self.name} ended with code {code}: {self.tail(5)}"

    def freeze(self) -> None:
        """As a machine that stalls."""
        freeze(self.pid)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""
