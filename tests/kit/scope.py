"""A corner of the shared broker and database that belongs to one test."""

import itertools
import os
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from shared.bus import topics
from shared.mailbox import connect
from shared.mailbox.connect import Database
from shared.settings import PREFIX, Common
from tests.kit.patience import until

S = TypeVar("S", bound=Common)

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scope:
    """Names that no other test uses, and where the servers are."""

    kafka_bootstrap: str
    mongodb_url: str
    topic_prefix: str
    database: str
    partitions: int = 12

    @classmethod
    def new(cls, kafka_bootstrap: str, mongodb_url: str) -> Self:
        """A fresh one. The process id keeps runs apart that share a server."""
        name = f"t{os.getpid()}-{next(_numbers)}"
        return cls(kafka_bootstrap, mongodb_url, topic_prefix=f"{name}.", database=name)

    def with_partitions(self, partitions: int) -> Self:
        """The same corner with another number of partitions; before the topics are made."""
        return replace(self, partitions=partitions)

    def settings(self, schema: type[S], **overrides: Any) -> S:
        """`schema` with this corner's addresses and names, and `overrides`."""
        return schema(**{**self._fields(), **overrides})

    def environment(self) -> dict[str, str]:
        """The same as variables for a process."""
        return {PREFIX + name.upper(): str(value) for name, value in self._fields().items()}

    def _fields(self) -> dict[str, Any]:
        return {
            "kafka_bootstrap": self.kafka_bootstrap,
            "mongodb_url": self.mongodb_url,
            "topic_prefix": self.topic_prefix,
            "mongodb_database": self.database,
            "partitions": self.partitions,
            "hostname": "understudy.test",
        }

    def connect(self) -> Database:
        """A connection of the test's own to its database."""
        return connect.connect(self.settings(Common))

    async def make_topics(self) -> None:
        """Make the topics, and wait until the broker lists them: it answers a little before that."""
        settings = self.settings(Common)
        await topics.create(settings)
        await until(lambda: _listed(settings), within=20, pause=0.02, what="the topics")

    async def drop(self) -> None:
        """Take topics and database away."""
        await topics.delete(self.settings(Common))
        database = self.connect()
        await connect.drop(database)
        database.client.close()


async def _listed(settings: Common) -> bool:
    try:
        await topics.check(settings)
    except topics.TopicsUnsafe as error:
        if "missing" in str(error):
            return False
        raise
    return True
