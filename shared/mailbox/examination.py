"""Is the database one that can be trusted with mail? For those who operate it."""

from dataclasses import dataclass

from shared.mailbox.connect import Database, reaching
from shared.mailbox.indexes import INDEXES


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. `replica_set` is None where the server is none: no change streams, no durable majority."""

    replica_set: str | None
    has_primary: bool
    members: int
    version: str


@reaching
async def examine(database: Database) -> Examination:
    """Raises MailboxUnavailable."""
    hello = await database.command("hello")
    build = await database.command("buildInfo")
    return Examination(
        replica_set=hello.get("setName"),
        has_primary=bool(hello.get("isWritablePrimary") or hello.get("primary")),
        members=len(hello.get("hosts", [])),
        version=str(build["version"]),
    )


@reaching
async def write_durably(database: Database) -> None:
    """Write one document as letters are written: on the disks of a majority. Raises MailboxUnavailable."""
    await database["examinations"].replace_one({"_id": "written"}, {"by": "doctor"}, upsert=True)


@reaching
async def missing_indexes(database: Database) -> list[str]:
    """The indexes of ours that are not there."""
    missing: list[str] = []
    for collection, models in INDEXES.items():
        present = await database[collection].index_information()
        names = [str(model.document["name"]) for model in models]
        missing += [f"{collection}.{name}" for name in names if name not in present]
    return missing
