"""Users on a real database, and those who let them in."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.store.accounts import Accounts, ensure_admin
from services.store.door.logins import Logins
from services.store.mailbox import Mailbox
from services.store.passwords import Passwords
from services.store.summaries import Summaries
from services.store.user import NewUser
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.letter import Mode
from shared.mailbox import connect
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.mailbox.tries import Tries
from shared.settings import Store
from tests.kit.scope import Scope

ANN, PASSWORD, ADMIN_PASSWORD = "ann@example.test", "correct horse", "admin's own"
TRIES = 4


@dataclass(frozen=True, slots=True)
class Lobby:
    """`logins` as one process has it."""

    database: Database
    accounts: Accounts
    clock: Clock
    settings: Store
    logins: Logins

    def another(self) -> Logins:
        """As another replica has it."""
        return _logins(self.database, self.accounts, self.clock, self.settings)

    async def add(self, address: str) -> str:
        await self.accounts.add(NewUser(address=address, password=PASSWORD, mode=Mode.STORE_ONLY))
        return address


def _logins(database: Database, accounts: Accounts, clock: Clock, settings: Store) -> Logins:
    return Logins(accounts, Tries(database, settings.login_tries_per_minute), clock, settings)


@contextlib.asynccontextmanager
async def opened_lobby(scope: Scope, folder: Path, **more: Any) -> AsyncIterator[Lobby]:
    """One with Ann and an administrator."""
    (folder / "password").write_text(ADMIN_PASSWORD)
    settings = scope.settings(
        Store,
        secret_key="a key that is long enough",
        admin_password_file=folder / "password",
        login_tries_per_minute=TRIES,
        **more,
    )
    database, passwords = scope.connect(), Passwords()
    clock = Clock(database, settings)
    # Nothing is announced here, so it need not be started.
    announcer = Announcer(Letters(database), Marks(database), Producer(settings, "test"), clock, sweeps=False)
    await ensure_admin(database, clock, settings, passwords)
    mailbox = Mailbox(database, clock, settings, announcer, Summaries(database))
    accounts = Accounts(database, clock, settings, announcer, mailbox, passwords)
    lobby = Lobby(database, accounts, clock, settings, _logins(database, accounts, clock, settings))
    await lobby.add(ANN)
    yield lobby
    passwords.close()
    await connect.drop(database)
    database.client.close()
