"""What the API's routes work with, opened and closed in one place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from services.store.accounts import Accounts, ensure_admin
from services.store.door.logins import Logins
from services.store.mailbox import Mailbox
from services.store.mainservers import MainServers
from services.store.passwords import Passwords
from services.store.summaries import Summaries
from services.store.web.watch import Watch
from shared.announcer import Announcer
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.tries import Tries
from shared.settings import PREFIX, SettingsError, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Handed to every route."""

    settings: Store
    database: Database
    clock: Clock
    mailbox: Mailbox
    accounts: Accounts
    logins: Logins
    main_servers: MainServers
    watch: Watch
    http: httpx.AsyncClient


@contextlib.asynccontextmanager
async def opened(
    settings: Store, database: Database, clock: Clock, announcer: Announcer, stop: asyncio.Event
) -> AsyncIterator[Parts]:
    """The parts, for the length of a block; the administrator and his token are there from its beginning.

    Once `stop` is set, streams of events end, so that a server can be closed without waiting for its clients.

    Raises:
        SettingsError: a setting cannot serve.
        MailboxUnavailable.
    """
    ops_ports(settings)
    async with contextlib.AsyncExitStack() as stack:
        passwords = Passwords()
        stack.callback(passwords.close)
        await ensure_admin(database, clock, settings, passwords)
        summaries = await stack.enter_async_context(Summaries(database))
        mailbox = Mailbox(database, clock, settings, announcer, summaries)
        accounts = Accounts(database, clock, settings, announcer, mailbox, passwords)
        watch = Watch(settings)
        stack.push_async_callback(watch.close)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=1.0, trust_env=False))
        beside = [
            asyncio.ensure_future(accounts.see_off_leavers(stop)),
            asyncio.ensure_future(watch.close_at(stop)),
        ]
        stack.callback(lambda: [task.cancel() for task in beside])
        yield Parts(
            settings=settings,
            database=database,
            clock=clock,
            mailbox=mailbox,
            accounts=accounts,
            logins=Logins(accounts, Tries(database, settings.login_tries_per_minute), clock, settings),
            main_servers=MainServers(database, clock, announcer),
            watch=watch,
            http=http,
        )


def ops_ports(settings: Store) -> list[tuple[str, str, int]]:
    """name=host:port[,...]; a name may come several times, one for each instance. Raises SettingsError."""
    found = []
    for part in filter(None, (part.strip() for part in settings.services.split(","))):
        name, _, place = part.partition("=")
        host, _, port = place.rpartition(":")
        if not (name and host and port.isdigit()):
            raise SettingsError(f"{PREFIX}SERVICES: name=host:port expected instead of {part!r}")
        found.append((name, host.strip("[]"), int(port)))
    return found
