"""Many users at once: rows of CSV or of a JSON list, each with its own result."""

import asyncio
import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from services.store.accounts import Accounts
from services.store.user import NewUser, UserRefused
from shared.mailbox.users import UserExists

MOST_ROWS = 10_000
COLUMNS = ("address", "password", "mode", "target_address", "target_server")
MORE_COLUMNS = ("tls", "pass_client", "pop3_delete", "enabled")
_MADE_BESIDE_EACH_OTHER = 16
_CHECKED_AT_ONCE = 100


class BulkRefused(ValueError):
    """What came is no list of users at all. The text says what was expected."""


@dataclass(slots=True)
class Row:
    """One user of a list, and what is wrong with him, if anything is."""

    number: int
    fields: dict[str, Any]
    user: NewUser | None = None
    fault: str | None = None

    @property
    def address(self) -> str | None:
        """As well as it is known."""
        given = self.fields.get("address")
        return self.user.address if self.user else given if isinstance(given, str) else None


def from_csv(content: bytes) -> list[Row]:
    """RFC 4180 with a header line; an empty cell is a field not given. Raises BulkRefused."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(lines, [])]
        _check_header(header)
        # No more than is needed to see that there are too many.
        some = itertools.islice(filter(None, lines), MOST_ROWS + 1)
        return [_csv_row(number, header, line) for number, line in enumerate(some, 1)]
    except UnicodeDecodeError:
        raise BulkRefused("the list is not UTF-8") from None
    except csv.Error as error:
        raise BulkRefused(f"this is no CSV as in RFC 4180: {error}") from None


def from_json(content: bytes) -> list[Row]:
    """A list of objects. Raises BulkRefused."""
    try:
        items = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BulkRefused("this is no JSON: a list of users is expected") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BulkRefused("a list of users is expected, each an object")
    return [Row(number, item) for number, item in enumerate(items[: MOST_ROWS + 1], 1)]


async def add(accounts: Accounts, rows: Sequence[Row], *, dry_run: bool, atomic: bool) -> None:
    """Make the users of `rows` that can be made; `fault` of each row says why he cannot.

    With `dry_run` none is made, only checked. With `atomic` none is made unless all can be.

    Raises:
        BulkRefused: too many rows.
    """
    if len(rows) > MOST_ROWS:
        raise BulkRefused(f"at most {MOST_ROWS} users at once")
    await _check(accounts, rows)
    if dry_run or (atomic and any(row.fault for row in rows)):
        return
    beside = asyncio.Semaphore(_MADE_BESIDE_EACH_OTHER)
    await asyncio.gather(*[_make(accounts, row, beside) for row in rows if row.fault is None])
    if atomic and any(row.fault for row in rows):
        # Somebody else has made one of them since the check.
        await asyncio.gather(*[accounts.take_back(row.user.address) for row in rows if row.user and not row.fault])


async def _check(accounts: Accounts, rows: Sequence[Row]) -> None:
    seen: set[str] = set()
    for start in range(0, len(rows), _CHECKED_AT_ONCE):
        for row in rows[start : start + _CHECKED_AT_ONCE]:
            await _check_row(accounts, row, seen)
        # Others want the loop, too.
        await asyncio.sleep(0)
    existing = await accounts.existing(sorted(seen))
    for row in rows:
        if row.fault is None and row.address in existing:
            row.fault = "there is a user of that address"


async def _check_row(accounts: Accounts, row: Row, seen: set[str]) -> None:
    if row.fault is not None:
        return
    try:
        row.user = NewUser.model_validate(row.fields)
        accounts.check(row.user)
    except ValidationError as error:
        row.fault = "; ".join(in_words(fault) for fault in error.errors())
    except UserRefused as error:
        row.fault = str(error)
    else:
        if row.user.address in seen:
            row.fault = "the list has that address twice"
        seen.add(row.user.address)


async def _make(accounts: Accounts, row: Row, beside: asyncio.Semaphore) -> None:
    async with beside:
        try:
            if row.user is not None:
                await accounts.add(row.user)
        except UserExists:
            row.fault = "there is a user of that address"


def in_words(fault: Any) -> str:
    """What pydantic found wrong, as people are told it."""
    text = str(fault["msg"]).removeprefix("Value error, ")
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {text}" if place else text


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in (*COLUMNS, *MORE_COLUMNS)]
    if "address" not in header or unknown or len(set(header)) != len(header):
        raise BulkRefused(f"the first line has to name the columns: {','.join(COLUMNS)}")


def _csv_row(number: int, header: list[str], line: list[str]) -> Row:
    row = Row(number, {name: cell for name, cell in zip(header, line, strict=False) if cell})
    if len(line) != len(header):
        row.fault = f"{len(line)} cells, {len(header)} expected"
    return row
