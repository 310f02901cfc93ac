"""The real Kafka and mongod of a test run, in a folder that goes when they stop."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.mongod import Mongod


@dataclass(frozen=True, slots=True)
class Servers:
    """One broker and one database node, serving."""

    kafka: Kafka
    mongod: Mongod


@contextlib.contextmanager
def servers(*, mongod_niceness: int = 0) -> Iterator[Servers]:
    """Both on free ports while the block runs; stopped and their folder removed however it ends."""
    with tempfile.TemporaryDirectory(prefix="understudy-test-", ignore_cleanup_errors=True) as folder:
        pair = Servers(Kafka(Path(folder) / "kafka"), Mongod(Path(folder) / "mongo", niceness=mongod_niceness))
        try:
            pair.kafka.launch()
            pair.mongod.launch()
            pair.kafka.wait_until_serving()
            pair.mongod.wait_until_serving()
            yield pair
        finally:
            pair.mongod.stop()
            pair.kafka.stop()
