"""What `understudy doctor` looks at: the settings, Kafka, MongoDB, the API, the services, the disk."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.console import here
from services.console.client import Client
from services.console.refused import Refused
from shared.bus import broker, topics
from shared.bus.producer import BusUnavailable
from shared.mailbox import examination
from shared.mailbox.connect import Database, MailboxUnavailable, connect
from shared.settings import SCHEMAS, Common

LEAST_FREE_BYTES = 1024**3
LEAST_FREE_SHARE = 0.05
_KAFKA_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `text` says what was found; where it is not good, what to do."""

    name: str
    ok: bool
    text: str


def everything() -> Iterator[Finding]:
    """Each as soon as it is found."""
    yield _settings()
    try:
        common = here.settings(Common)
    except Refused:
        return
    yield from asyncio.run(_collected(_servers(common)))
    yield from _services()
    yield _disk(common.data or Path())


async def _collected(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


def _settings() -> Finding:
    faults = []
    for name, schema in SCHEMAS.items():
        try:
            here.settings(schema)
        except Refused as error:
            faults.append(f"{name}: {error}")
    return Finding("settings", not faults, faults[0] if faults else "all can be read")


async def _servers(settings: Common) -> AsyncIterator[Finding]:
    where = settings.kafka_bootstrap
    if await broker.answers(settings, within_seconds=_KAFKA_SECONDS):
        yield Finding("kafka", True, f"{where} answers")
        yield await _topics(settings)
        yield await _offsets(settings)
    else:
        yield Finding("kafka", False, f"{where} does not answer: start it, or set UNDERSTUDY_KAFKA_BOOTSTRAP")
    database = connect(settings)
    try:
        async for finding in _database(database):
            yield finding
    except MailboxUnavailable as error:
        yield Finding("mongodb", False, f"it does not answer ({error}): start it, or set UNDERSTUDY_MONGODB_URL")
    finally:
        database.client.close()


async def _topics(settings: Common) -> Finding:
    try:
        await topics.check(settings)
    except (topics.TopicsUnsafe, BusUnavailable) as error:
        return Finding("topics", False, str(error).replace("\n", "; "))
    return Finding("topics", True, f"{len(topics.planned(settings))} are as they have to be")


async def _offsets(settings: Common) -> Finding:
    """The broker forgets where an absent consumer was; it must not before the topics forget what they hold."""
    name, least = "offsets.retention.minutes", settings.topic_retention_days * 24 * 60
    try:
        minutes = await broker.offsets_retention_minutes(settings)
    except BusUnavailable as error:
        return Finding(name, False, str(error))
    if minutes < least:
        return Finding(name, False, f"{minutes} on the broker: set it to {least} at least, or a long stop repeats mail")
    return Finding(name, True, f"{minutes} ({minutes // (24 * 60)} days)")


async def _database(database: Database) -> AsyncIterator[Finding]:
    found = await examination.examine(database)
    if found.replica_set is None:
        yield Finding("mongodb", False, "it is no replica set: start mongod with --replSet and initiate it")
        return
    text = f"{found.version}, replica set {found.replica_set} of {found.members}"
    yield Finding("mongodb", found.has_primary, text if found.has_primary else f"{text} has no primary")
    try:
        await examination.write_durably(database)
        yield Finding("durability", True, "a write reached the disks of a majority")
    except MailboxUnavailable as error:
        yield Finding("durability", False, f"no majority confirms a write ({error}): look at the set's members")
    missing = await examination.missing_indexes(database)
    advice = f"missing: {', '.join(missing)}; a service makes them when it starts"
    yield Finding("indexes", not missing, advice if missing else "all are there")


def _services() -> Iterator[Finding]:
    try:
        with Client() as client:
            status = client.call("GET", "/status")
    except Refused as error:
        yield Finding("api", False, str(error))
        return
    yield Finding("api", True, f"it answers and knows the token; {status['waiting']} letters wait")
    for name, state in status["services"].items():
        text = f"{state['instances']} live" if state["up"] else "none is live: start it, and look at its log"
        yield Finding(name, state["up"], text)


def _disk(folder: Path) -> Finding:
    folder = next(one for one in (folder.resolve(), *folder.resolve().parents) if one.exists())
    usage = shutil.disk_usage(folder)
    is_enough = usage.free >= LEAST_FREE_BYTES and usage.free >= LEAST_FREE_SHARE * usage.total
    text = f"{usage.free / 1e9:.1f} GB free where {folder} is"
    return Finding("disk", is_enough, text if is_enough else f"{text}: make room, or mail is refused soon")
