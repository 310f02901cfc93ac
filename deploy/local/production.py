"""What a run consists of: which servers and services, at which ports, told which settings. It starts nothing."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx

from deploy.local.errors import CannotStart
from deploy.local.fetch import cache_folder, kafka_jars
from deploy.local.kafka import Kafka
from deploy.local.keys import settings_of_keys
from deploy.local.mongod import Mongod, check_program
from deploy.local.ports import LOOPBACK, NO_CERTIFICATES, becomes_free, free_port, is_listening
from deploy.local.server import Server
from deploy.local.supervise import Program
from services.console.standin import behaviour_of
from shared.settings import PREFIX, Local, load

# Ingest stops first, so that nothing new comes while the others finish; Kafka and MongoDB when nobody needs them.
INGEST_RANK, SERVICE_RANK, SERVER_RANK = 0, 1, 2
# Behind ingest: while a backlog drains, accepting mail would otherwise take twice as long. MongoDB works for the
# services behind and goes with them, for only Kafka is needed to accept a letter. With more (10 was tried) forwarding
# starves on a machine that is busy with other things, and accepting gains nothing.
NICE_BEHIND_INGEST = 5

Check = Callable[[], Awaitable[bool]]


def plan(data: Path) -> "Production":
    """Read the settings and decide the ports.

    Raises:
        SettingsError: a setting is unknown or cannot serve.
        CannotStart: a port is in use or named twice.
    """
    without_sample = {"sample": False} if os.environ.get("SAMPLE") == "no" else {}
    settings = load(Local, **without_sample)
    return Production(data, settings)


class Production:
    """One run: its ports, its programs, and how to see that they are ready."""

    def __init__(self, data: Path, settings: Local) -> None:
        self.data = data
        self.settings = settings
        named = settings.model_fields_set
        self._has_kafka = "kafka_bootstrap" not in named
        self._has_mongod = "mongodb_url" not in named
        self.forwarders = ["forwarder", *(f"forwarder-{number}" for number in range(2, settings.forwarders + 1))]
        self.ports = self._choose_ports()
        self.kafka = Kafka(data / "kafka", self.ports["kafka"]) if self._has_kafka else None
        self.mongod = self._own_mongod() if self._has_mongod else None
        self.kafka_bootstrap = self.kafka.bootstrap if self.kafka else settings.kafka_bootstrap
        self.mongodb_url = self.mongod.url if self.mongod else settings.mongodb_url.get_secret_value()
        self.api = f"http://{LOOPBACK}:{self.ports['http']}"

    def check(self) -> None:
        """See that nothing stands in the way, and fetch what is missing.

        Raises:
            CannotStart: with what to do about it.
        """
        for name, port in self.ports.items():
            if not becomes_free(port):
                setting = f"{PREFIX}{name.upper()}_PORT"
                raise CannotStart(
                    f"port {port} ({name}) is in use: stop what uses it, or set {setting} to another (0: any free one)"
                )
        if self.mongod:
            check_program()
        if self.kafka:
            kafka_jars()

    def servers(self) -> list[Server]:
        """The real things that this run starts itself."""
        return [server for server in (self.kafka, self.mongod) if server is not None]

    def program_of(self, server: Server) -> Program:
        """A server as the supervisor starts it."""
        return Program(server.name, server.command(), {**os.environ, **server.environment()}, SERVER_RANK)

    def services(self) -> list[Program]:
        """Our own processes, in the order of a letter's way."""
        programs = [self._service("ingest", rank=INGEST_RANK), self._service("store")]
        programs += [self._service(name, "forwarder") for name in self.forwarders]
        programs.append(self._service("pruner"))
        if self.settings.sample:
            folder = self.data / "standin"
            folder.mkdir(exist_ok=True)
            arguments = ["run", f"--port={self.ports['standin']}", f"--folder={folder}"]
            command = [sys.executable, "-m", "services.console.standin", *arguments]
            programs.insert(0, Program("standin", command, dict(os.environ), SERVER_RANK))
        return programs

    def readiness_of_services(self) -> dict[str, Check]:
        """For each of them, whether it does its work."""
        checks: dict[str, Check] = {
            name: partial(_answers_ready, self.ports[f"{name}_ops"])
            for name in ("ingest", "store", *self.forwarders, "pruner")
        }
        if self.is_standin_willing():
            checks["standin"] = lambda: asyncio.to_thread(is_listening, self.ports["standin"])
        return checks

    def is_standin_willing(self) -> bool:
        """Whether there is a stand-in main server that was not told, in an earlier run, to misbehave."""
        return self.settings.sample and behaviour_of(self.data / "standin")["mode"] == "normal"

    async def create_topics(self) -> None:
        """Make the topics before anything consumes them: who finds none waits for news of them.

        Raises:
            CannotStart: they cannot be made as they have to be.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.console.main", "topics", "create",
            env={**os.environ, **self._settings_of_services()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise CannotStart(f"the topics could not be made: {lines[-1]}")

    def joining_settings(self) -> dict[str, str]:
        """What a command or a further service is told that joins this run."""
        own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        # A test's failpoint is for the process that it was armed in; a further forwarder has a port of its own.
        own.pop(f"{PREFIX}FAILPOINTS", None)
        return {**own, **self._settings_of_services(), f"{PREFIX}FORWARDER_OPS_PORT": "0"}

    def _own_mongod(self) -> Mongod:
        return Mongod(self.data / "mongo", self.ports["mongo"], niceness=NICE_BEHIND_INGEST)

    def _choose_ports(self) -> dict[str, int]:
        wanted = {
            field.removesuffix("_port"): getattr(self.settings, field)
            for field in Local.model_fields
            if field.endswith("_port")
        }
        not_needed = {
            "kafka": not self._has_kafka,
            "mongo": not self._has_mongod,
            "standin": not self.settings.sample,
        }
        ports = {name: port or free_port() for name, port in wanted.items() if not not_needed.get(name, False)}
        ports |= {f"{name}_ops": free_port() for name in self.forwarders[1:]}
        _refuse_twice(ports)
        return ports

    def _service(self, name: str, module: str | None = None, rank: int = SERVICE_RANK) -> Program:
        module = module or name
        env = {**os.environ, **self._settings_of_services()}
        env[f"{PREFIX}{module.upper()}_OPS_PORT"] = str(self.ports[f"{name}_ops"])
        if module != "ingest":
            env.setdefault(f"{PREFIX}NICE", str(NICE_BEHIND_INGEST))
        return Program(name, [sys.executable, "-m", f"services.{module}"], env, rank)

    def _settings_of_services(self) -> dict[str, str]:
        ops = [(name.partition("-")[0], port) for name, port in self._ops_ports()]
        settings = {
            "DATA": str(self.data),
            "CACHE": str(cache_folder()),
            "KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "MONGODB_URL": self.mongodb_url,
            "MONGODB_DATABASE": self.settings.mongodb_database,
            "API": self.api,
            "OWN_LISTENERS": f"{LOOPBACK}:{self.ports['smtp']}",
            "SERVICES": ",".join(f"{name}={LOOPBACK}:{port}" for name, port in ops),
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items() if "-" not in name},
        }
        defaults = {
            **settings_of_keys(self.data),
            f"{PREFIX}RECIPIENTS_CACHE": str(self.data / "recipients.cache"),
        }
        set_by_person = {name: os.environ[name] for name in defaults if os.environ.get(name)}
        return {**defaults, **set_by_person, **{f"{PREFIX}{name}": value for name, value in settings.items()}}

    def _ops_ports(self) -> list[tuple[str, int]]:
        names = ("ingest", "store", *self.forwarders, "pruner")
        return [(name, self.ports[f"{name}_ops"]) for name in names]


def _refuse_twice(ports: dict[str, int]) -> None:
    for name, port in ports.items():
        twin = next((other for other, its in ports.items() if its == port and other != name), None)
        if twin:
            raise CannotStart(
                f"port {port} is set for both {name} and {twin}: set {PREFIX}{twin.upper()}_PORT to another"
            )


async def _answers_ready(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=5, verify=NO_CERTIFICATES) as client:
        try:
            return (await client.get(f"http://{LOOPBACK}:{port}/ready")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
