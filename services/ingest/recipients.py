"""Who takes mail here: known without asking, through an outage of the database and a restart.

What is known says yes at once. What is not known is asked for, because a user may just have been made: only the
database's own word is a no (design rule 11).
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Collection, Iterable
from pathlib import Path
from typing import cast

from services.ingest import metrics
from shared import logs
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.users import Users

log = logs.get("ingest")

# Longer, and a client might give up on RCPT; the answer is 451 then.
ASK_SECONDS = 3.0
_AGAIN_SECONDS = 1.0
# Changes come in bursts (a bulk add); the file is written once for many.
_WRITE_SECONDS = 0.5
_ASK_AT_ONCE = 1000


class RecipientsUnavailable(Exception):
    """The database could not be asked; nobody knows."""


class Recipients:
    """The known addresses, kept fresh by the database and kept in a file."""

    def __init__(self, users: Users, file: Path | None) -> None:
        self._users = users
        self._file = file
        self._known: set[str] = _read(file)
        self._asked: list[tuple[Collection[str], asyncio.Future[set[str]]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._is_complete = False
        metrics.RECIPIENTS.set(len(self._known))

    def __contains__(self, address: str) -> bool:
        return address in self._known

    @property
    def is_usable(self) -> bool:
        """Whether anything is known at all: from the database, or from the file of an earlier run."""
        return self._is_complete or bool(self._known)

    def ask(self, addresses: Collection[str]) -> asyncio.Future[set[str]]:
        """Those of `addresses` that take mail, by the database's word; raises RecipientsUnavailable.

        Questions that come while one is under way are put together into the next.
        """
        future: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()
        self._asked.append((addresses, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return future

    async def follow(self) -> None:
        """Keep what is known as the database has it, until cancelled."""
        while True:
            try:
                await self._load_and_watch()
            except MailboxUnavailable as error:
                log.warning("recipients_not_followed", error=str(error)[:200], known=len(self._known))
            except Exception:
                # Whatever is wrong with the database, mail for those who are known goes on.
                log.exception("recipients_not_followed")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def keep(self) -> None:
        """Write what is known to the file whenever it has changed, until cancelled; then once more."""
        if self._file is None:
            return
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_WRITE_SECONDS)
                self._changed.clear()
                await asyncio.to_thread(_write, self._file, self._known.copy())
        finally:
            if self._changed.is_set():
                _write(self._file, self._known)

    async def _load_and_watch(self) -> None:
        async with contextlib.aclosing(cast(AsyncGenerator[tuple[str, bool], None], self._users.changes())) as changes:
            async for address, accepts in changes:
                if not address:
                    # The stream stands: what is loaded now misses nothing.
                    self._replace(await self._users.all_accepting())
                elif accepts:
                    self._known.add(address)
                else:
                    self._known.discard(address)
                metrics.RECIPIENTS.set(len(self._known))
                self._changed.set()

    def _replace(self, addresses: Iterable[str]) -> None:
        self._known = set(addresses)
        self._is_complete = True
        log.info("recipients_loaded", known=len(self._known))

    async def _ask_all(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked[:_ASK_AT_ONCE], self._asked[_ASK_AT_ONCE:]
                await self._ask_for(asked)
        finally:
            self._asking = None

    async def _ask_for(self, asked: list[tuple[Collection[str], asyncio.Future[set[str]]]]) -> None:
        wanted = {address for addresses, _ in asked for address in addresses}
        metrics.LOOKUPS.inc(len(wanted))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._users.accepting(wanted)
        except (MailboxUnavailable, TimeoutError) as error:
            log.warning("recipients_not_asked", error=str(error)[:200], addresses=len(wanted))
            self._fail(asked)
        except Exception:
            log.exception("recipients_not_asked")
            self._fail(asked)
        else:
            for addresses, future in asked:
                if not future.done():
                    future.set_result(found.intersection(addresses))

    def _fail(self, asked: list[tuple[Collection[str], asyncio.Future[set[str]]]]) -> None:
        """Those who came meanwhile have waited, too; they do not wait for a second failure."""
        waiting, self._asked = [*asked, *self._asked], []
        for _, future in waiting:
            if not future.done():
                future.set_exception(RecipientsUnavailable())


def _read(file: Path | None) -> set[str]:
    if file is None:
        return set()
    try:
        return set(file.read_text("utf-8").split("\n")) - {""}
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        log.warning("recipients_file_unreadable", file=str(file), error=str(error))
        return set()


def _write(file: Path, addresses: Iterable[str]) -> None:
    """All or nothing: a half-written file would say that users are gone."""
    beside = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as new:
            new.writelines(address + "\n" for address in sorted(addresses))
            new.flush()
            os.fsync(new.fileno())
        beside.replace(file)
    except OSError as error:
        log.warning("recipients_file_not_written", file=str(file), error=str(error))
