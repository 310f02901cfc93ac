"""The connection to MongoDB, and what its absence is called."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shared.settings import Common

Database = AsyncIOMotorDatabase[dict[str, Any]]

# A member of the set is gone, stepping down, starting or shutting down; the write may or may not have happened.
_PASSING_CODES = frozenset({6, 7, 64, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
# Out loud, because the server's defaults may differ: what was answered is on the disks of a majority.
_DURABLE = WriteConcern(w="majority", j=True, wtimeout=20_000)


class MailboxUnavailable(Exception):
    """The database did not answer, or did not confirm. What was asked may have happened or not."""


P = ParamSpec("P")
R = TypeVar("R")


def reaching(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Turn the driver's troubles with the world into MailboxUnavailable; its other errors stay what they are."""

    @wraps(function)
    async def reached(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await function(*args, **kwargs)
        except PyMongoError as error:
            if is_passing(error):
                raise MailboxUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error
            raise

    return reached


def is_passing(error: PyMongoError) -> bool:
    """Whether the world is the reason, so that the same call may do later."""
    if isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout | WriteConcernError):
        return True
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        return bool(details.get("writeConcernErrors")) and not details.get("writeErrors")
    if isinstance(error, OperationFailure):
        return error.code in _PASSING_CODES or error.has_error_label("RetryableWriteError")
    return False


def connect(settings: Common) -> Database:
    """The database, majority-durable in writing and reading. Nothing is contacted yet."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.mongodb_url.get_secret_value(),
        appname="understudy",
        tz_aware=True,
        serverSelectionTimeoutMS=3_000,
        connectTimeoutMS=3_000,
        socketTimeoutMS=30_000,
        retryWrites=True,
        retryReads=True,
    )
    return client.get_database(
        settings.mongodb_database,
        codec_options=CodecOptions(tz_aware=True),
        write_concern=_DURABLE,
        read_concern=ReadConcern("local"),
    )


@reaching
async def ping(database: Database) -> None:
    """Raises MailboxUnavailable."""
    await database.command("ping")


@reaching
async def drop(database: Database) -> None:
    """Take the whole database away. For tests."""
    await database.client.drop_database(database.name)
