"""The product as processes, on a corner of real servers: as an operator has it, with its parts in a test's hands."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from shared.settings import PREFIX
from tests.kit.api import Api
from tests.kit.ledger import Ledger
from tests.kit.mainserver import MainServer
from tests.kit.process import Process
from tests.kit.scope import Scope
from tests.kit.sender import Outgoing, Sender, Sent

ALL = ("store", "ingest", "forwarder", "pruner")
# The store's; those of `store-2` are `http-2` and so on.
DOORS = ("http", "imap", "imaps", "pop3", "pop3s")
# What a test would otherwise wait for. Everything else is as in production.
SHORTENED = {
    "retry_seconds": 1,
    "probe_seconds": 0.5,
    "breaker_test_seconds": 1,
    "backlog_seconds": 0.5,
    "expire_seconds": 1,
}


class System:
    """Ingest, store, forwarder and pruner; `forwarder-2` is a second forwarder, `store-2` a second store."""

    def __init__(self, scope: Scope, folder: Path, **settings: Any) -> None:
        self.scope = scope
        self.folder = folder
        self.main = MainServer()
        self.ledger = Ledger(scope)
        self._settings: dict[str, Any] = {**SHORTENED, **settings}
        self._processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._token = secrets.token_urlsafe(24)
        self._write_secrets()
        self.sender = Sender(self.port("smtp"))
        self.api = Api(self.port("http"), self._token)

    def _write_secrets(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, secret in (("token", self._token), ("key", secrets.token_hex(32)), ("password", "admin's own")):
            (self.folder / name).write_text(secret + "\n")
            (self.folder / name).chmod(0o600)

    def port(self, name: str) -> int:
        """The port `name`, as in `smtp` or `forwarder-2_ops`; free when first asked for, the same from then on."""
        if name not in self._ports:
            self._ports[name] = free_port()
        return self._ports[name]

    def process(self, name: str) -> Process:
        return self._processes[name]

    async def start(self, *names: str, **settings: Any) -> None:
        """Start services, all four where none is named, with `settings` for these alone; wait until they are ready."""
        started = [self.launch(name, **settings) for name in names or ALL]
        await asyncio.gather(*(process.becomes_ready() for process in started))

    def launch(self, name: str, **settings: Any) -> Process:
        """Start one without waiting."""
        if name not in self._processes:
            self._processes[name] = Process(name, self.folder, self.port(f"{name}_ops"))
        self._processes[name].launch(self._environment(name, settings))
        return self._processes[name]

    async def restart(self, name: str, **settings: Any) -> None:
        """Stop in order, and start again."""
        await self.process(name).stop()
        await self.start(name, **settings)

    def _environment(self, name: str, settings: dict[str, Any]) -> dict[str, str]:
        service, _, number = name.partition("-")
        own = f"-{number}" if number else ""
        fields: dict[str, Any] = {
            "log_format": "json",
            "smtp_port": self.port("smtp"),
            **{f"{door}_port": self.port(door + own) for door in DOORS},
            f"{service}_ops_port": self.port(f"{name}_ops"),
            "admin_token_file": self.folder / "token",
            "admin_password_file": self.folder / "password",
            "secret_key_file": self.folder / "key",
            "recipients_cache": self.folder / "recipients",
            **self._settings,
            **settings,
        }
        ours = {PREFIX + field.upper(): str(value) for field, value in fields.items()}
        return {**self.scope.environment(), **ours}

    async def metric(self, service: str, name: str) -> float:
        """A metric's sum over the instances of a service that run."""
        running = [p for p in self._processes.values() if p.service == service and p.exit_code is None]
        return sum([(await process.metrics()).get(name, 0.0) for process in running])

    async def send(self, letters: list[Outgoing], *, connections: int = 10) -> list[Sent]:
        """Send each letter once; every one must be answered 250."""
        sent = await self.sender.send(letters, connections=connections)
        bad = [one for one in sent if one.code != 250]
        assert not bad, f"{len(bad)} of {len(sent)} letters refused: {bad[0].code} {bad[0].text}"
        return sent

    async def add_user(self, address: str = "ann@example.test", **fields: Any) -> str:
        """Make a user whose letters go to `main`, unless `fields` say otherwise; returns the address."""
        fields.setdefault("main", None if fields.get("mode") == "store_only" else self.main)
        user = await self.api.add_user(address, **fields)
        self.ledger.users[address] = user
        return address

    async def delete(self, letter_id: str) -> str:
        """Delete as a person does; the answer is held against what the main server has in the end."""
        answer = await self.api.delete(letter_id)
        self.ledger.deleted[letter_id] = answer
        return answer

    def begin(self) -> None:
        """A new page of the ledger: what was sent and taken before is of no interest any more."""
        self.sender.sent.clear()
        self.ledger.deleted.clear()
        self.main.forget()

    async def settle(self, *, within: float = 60.0) -> None:
        """Wait until nothing is under way any more: no letter waits or is in flight, no copy or event is due."""
        await self.ledger.settle(self.sender, within=within)

    async def check(self, *, after: str | None = None, is_idle: bool = True) -> None:
        """The ledger and the database's invariants. `after` names the faults that may explain a letter taken twice."""
        await self.ledger.check(self.sender, self.main, after=after)
        await self.ledger.check_database(is_idle=is_idle)
        if after is None and is_idle:
            await self.check_nothing_was_mended()

    async def check_nothing_was_mended(self) -> None:
        """Without faults the nets under our bugs catch nothing."""
        for process in self._processes.values():
            if process.exit_code is None:
                for name, value in (await process.metrics()).items():
                    mends = name.startswith(("understudy_reconciler_found_total", "understudy_dead_letters_total"))
                    assert not (mends and value), f"{process.name}: {name} is {value}"

    async def close(self) -> None:
        """Stop everything; every process is gone afterwards, however it ends."""
        try:
            await asyncio.gather(*(process.stop() for process in self._processes.values()))
        finally:
            for process in self._processes.values():
                process.kill()
            await self.main.go_away()
            await self.api.__aexit__()

    def tell(self) -> None:
        """Print the ends of the logs; pytest shows them where the test failed."""
        for process in self._processes.values():
            print(f"--- {process.name} ({process.log})\n{process.tail()}")


@contextlib.asynccontextmanager
async def running(
    scope: Scope, folder: Path, *names: str, main_is_away: bool = False, **settings: Any
) -> AsyncIterator[System]:
    """The system with the services `names` (all four where none is named) for the length of a block."""
    system = System(scope, folder, **settings)
    try:
        await system.main.come_back()
        await system.start(*names)
        if main_is_away:
            await system.main.go_away()
        yield system
    except BaseException:
        system.tell()
        raise
    finally:
        await system.close()
