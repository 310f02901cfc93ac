"""Users: made, changed, taken away, and let in."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from services.store.listeners import Listeners
from services.store.mailbox import Mailbox, NotNow, NotThere, Person
from services.store.passwords import Passwords
from services.store.user import NewUser, UserChange, UserRefused, check_mode, same_password
from shared import logs, target
from shared.announcer import Announcer
from shared.letter import Mode
from shared.mailbox.admins import Admins
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database, MailboxUnavailable
from shared.mailbox.departures import Departures
from shared.mailbox.destinations import Destinations
from shared.mailbox.folders import Folders
from shared.mailbox.letters import Letters
from shared.mailbox.users import Target, User, Users
from shared.sealing import Seal
from shared.settings import PREFIX, SettingsError, Store, secret_key
from shared.target import HIDDEN

log = logs.get("accounts")

ADMIN = "admin"
_TRIES = 5
_LEAVERS_SECONDS = 2.0
_BINNED_AT_ONCE = 1000


class Accounts:
    """The users, and the administrators."""

    administrator = Person(ADMIN, is_administrator=True)

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Store,
        announcer: Announcer,
        mailbox: Mailbox,
        passwords: Passwords,
    ) -> None:
        """Raises SettingsError: no key for target servers' passwords, or own listeners that are none."""
        self._users = Users(database)
        self._admins = Admins(database)
        self._letters = Letters(database)
        self._folders = Folders(database)
        self._destinations = Destinations(database)
        self._departures = Departures(database)
        self._clock = clock
        self._announcer = announcer
        self._mailbox = mailbox
        self._passwords = passwords
        self._seal, self._listeners = _seal(settings), _listeners(settings)

    # Let in

    async def verify(self, name: str, password: str, *, administrators: bool = True) -> Person | None:
        """The person that `name` and `password` stand for. As long for nobody as for somebody; without
        `administrators`, they are nobody.

        Raises:
            MailboxUnavailable, TooBusy.
        """
        if name == ADMIN and administrators:
            stored, person = await self._admins.password_hash(name), self.administrator
        else:
            user = await self._users.get(name.lower())
            may_enter = user is not None and user.enabled and not user.leaving
            stored = user.password_hash if user and may_enter else None
            person = Person(name.lower(), is_administrator=False)
        return person if await self._passwords.match(person.name, same_password(password), stored) else None

    async def welcome(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that are users who may log in. Raises MailboxUnavailable."""
        users = await self._users.by_address(names)
        return {name for name, user in users.items() if user.enabled and not user.leaving}

    async def verify_token(self, token: str) -> Person | None:
        """The administrator that a token stands for. Raises MailboxUnavailable."""
        return self.administrator if await self._admins.knows_token(token) else None

    # Looked up

    async def get(self, address: str) -> User:
        """Raises NotThere."""
        user = await self._users.get(address.lower())
        if user is None:
            raise NotThere
        return user

    async def page(self, after: str, limit: int) -> tuple[list[User], str | None]:
        """Up to `limit` users whose address sorts behind `after`; and from where to go on, if there are more."""
        found = await self._users.page(after, limit + 1)
        return found[:limit], found[limit - 1].address if len(found) > limit else None

    # Made, changed

    async def add(self, new: NewUser) -> User:
        """Raises UserRefused, UserExists."""
        user = await self._user(new)
        await self._users.add(user)
        log.info("user_added", address=user.address, mode=user.mode)
        return user

    def check(self, new: NewUser) -> None:
        """What `add` would refuse, but for one who exists. Raises UserRefused."""
        if new.target_server is not None:
            self._target(new.target_server, None)

    async def existing(self, addresses: Sequence[str]) -> set[str]:
        """Those of `addresses` that are users."""
        return set(await self._users.by_address(addresses))

    async def take_back(self, address: str) -> None:
        """Undo an `add` of a moment ago."""
        await self._users.remove(address)

    async def change(self, address: str, change: UserChange) -> User:
        """Change what `change` names. Raises NotThere, NotNow, UserRefused."""
        if change.address not in (None, address.lower()):
            raise UserRefused(address="a user's address cannot change: make another user")
        password_hash = await self._passwords.hash(change.password) if change.password else None
        for _ in range(_TRIES):
            before = await self.get(address)
            after = await self._changed(before, change, password_hash)
            if _name(after) != _name(before):
                after = replace(after, retargeted_at=self._clock.now())
            if after == before or await self._users.replace(before, after):
                await self._refile(before, after)
                return after
        raise NotNow("the user is being changed by others at this moment: try again")

    async def _refile(self, before: User, after: User) -> None:
        """What waits, waits for the new target (design rule 12). After the user is written: a sweep finds what a crash
        between the two left. Another login or policy may be what was missing: then it is tried at once."""
        if after.target is None:
            return
        if _name(before) == _name(after):
            if (before.target, before.tls, before.pass_client) != (after.target, after.tls, after.pass_client):
                await self._destinations.hurry({"address": after.address}, self._clock.now())
            return
        moved = await self._destinations.refile(after.address, after.target.name, self._clock.now())
        log.info("letters_refiled", address=after.address, destination=after.target.name, letters=moved)

    async def _changed(self, before: User, change: UserChange, password_hash: str | None) -> User:
        given = change.model_fields_set
        after = replace(
            before,
            tls=change.tls or before.tls,
            pass_client=change.pass_client or before.pass_client,
            pop3_delete=change.pop3_delete or before.pop3_delete,
            enabled=before.enabled if change.enabled is None else change.enabled,
            password_hash=password_hash if "password" in given else before.password_hash,
        )
        mode = change.mode or before.mode
        if mode is Mode.STORE_ONLY:
            check_mode(mode, change.target_address, change.target_server)
            await self._check_nothing_waits(before)
            return replace(after, mode=mode, target_address=None, target=None)
        target_address = change.target_address if "target_address" in given else before.target_address
        wanted = before.target
        if "target_server" in given:
            wanted = self._target(change.target_server, before.target) if change.target_server else None
        check_mode(mode, target_address, wanted.name if wanted else None)
        return replace(after, mode=mode, target_address=target_address, target=wanted)

    async def _check_nothing_waits(self, before: User) -> None:
        if before.mode.forwards and (waiting := await self._letters.unfinished(before.address)):
            raise NotNow(f"{waiting} letters still wait to be forwarded: let them go, or delete them, first")

    async def _user(self, new: NewUser) -> User:
        return User(
            address=new.address,
            mode=new.mode,
            created_at=self._clock.now(),
            password_hash=await self._passwords.hash(new.password) if new.password else None,
            target_address=new.target_address,
            target=self._target(new.target_server, None) if new.target_server else None,
            tls=new.tls,
            pass_client=new.pass_client,
            pop3_delete=new.pop3_delete,
            enabled=new.enabled,
        )

    def _target(self, text: str, before: Target | None) -> Target:
        """The target as it is kept. Raises UserRefused."""
        server = target.parse(text)
        if self._listeners.include(server.host, server.port):
            raise UserRefused(target_server=f"{server.name} is this system itself: letters would go round for ever")
        if server.password == HIDDEN:
            return Target(server.name, server.host, server.port, server.username, _kept(server, before))
        sealed = self._seal.close(server.password) if server.password is not None else None
        return Target(server.name, server.host, server.port, server.username, sealed)

    # Taken away

    async def remove(self, address: str, letters: Literal["forward", "bin"] | None) -> int:
        """Take a user away, with his mailbox. While letters wait, `letters` says what becomes of them: `forward`, and
        he goes when the last is through; `bin`, and they are deleted. Returns how many letters he still waits for.

        Raises:
            NotThere.
            NotNow: letters wait, and nothing was said.
        """
        user = await self.get(address)
        waiting = await self._letters.unfinished(user.address)
        if waiting and letters is None:
            raise _letters_wait(waiting)
        await self._set_leaving(user.address, True)
        if letters != "bin" and (waiting := await self._letters.unfinished(user.address)):
            # Without a word for letters, one has come in since the first look.
            if letters is None:
                await self._set_leaving(user.address, False)
                raise _letters_wait(waiting)
            return waiting
        await self._see_off(user.address)
        return 0

    async def see_off_leavers(self, stop: asyncio.Event) -> None:
        """Until `stop`, take away each leaving user whose last letter is through."""
        while not stop.is_set():
            with contextlib.suppress(MailboxUnavailable):
                for address in await self._departures.leaving():
                    if not await self._letters.unfinished(address):
                        await self._see_off(address)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LEAVERS_SECONDS)

    async def _set_leaving(self, address: str, leaving: bool) -> None:
        for _ in range(_TRIES):
            user = await self.get(address)
            if user.leaving == leaving or await self._users.replace(user, replace(user, leaving=leaving)):
                return
        raise NotNow("the user is being changed by others at this moment: try again")

    async def _see_off(self, address: str) -> None:
        """Bin what is left, so that it frees its space in time and a later user of that address does not inherit it.
        Twice, because intake may have read the user before he began to leave."""
        await self._bin_all(address)
        await self._users.remove(address)
        await self._bin_all(address)
        await self._folders.remove_all(address)
        log.info("user_removed", address=address)

    async def _bin_all(self, address: str) -> None:
        now = self._clock.now()
        until = self._mailbox.bin_until(now)
        while binned := await self._departures.bin_some(address, now, until, _BINNED_AT_ONCE):
            self._announcer.announce_soon(binned)


def _letters_wait(waiting: int) -> NotNow:
    return NotNow(f"{waiting} letters wait to be forwarded: say ?letters=forward or ?letters=bin")


def _kept(server: target.TargetServer, before: Target | None) -> bytes:
    """The password that is there, for the host and user it belongs to: nobody else is to be sent it."""
    if before is None or before.password is None:
        raise UserRefused(target_server="no password is kept for it: write the password instead of ***")
    if (before.host, before.username) != (server.host, server.username):
        raise UserRefused(target_server="the kept password belongs to another user or host: write the password out")
    return before.password


def _seal(settings: Store) -> Seal:
    try:
        return Seal(secret_key(settings))
    except ValueError as error:
        raise SettingsError(f"{PREFIX}SECRET_KEY: {error}") from None


def _listeners(settings: Store) -> Listeners:
    try:
        return Listeners(settings.own_listeners, settings.hostname)
    except target.TargetRefused as error:
        raise SettingsError(f"{PREFIX}OWN_LISTENERS: {error}") from None


async def ensure_admin(database: Database, clock: Clock, settings: Store, passwords: Passwords) -> None:
    """Make `admin` with his first password, once; make the settings' token the valid one, at every start.

    Raises:
        MailboxUnavailable.
        SettingsError: a file that a setting names cannot serve.
    """
    admins = Admins(database)
    if settings.admin_password_file is not None and not await admins.exists(ADMIN):
        password = same_password(_secret("ADMIN_PASSWORD_FILE", settings.admin_password_file))
        await admins.add(ADMIN, await passwords.hash(password), clock.now())
    if settings.admin_token_file is not None:
        await admins.set_token("file", _secret("ADMIN_TOKEN_FILE", settings.admin_token_file), clock.now())


def _secret(setting: str, path: Path) -> str:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PREFIX}{setting}: {error}") from None
    if not text:
        raise SettingsError(f"{PREFIX}{setting}: {path} is empty")
    return text


def _name(user: User) -> str | None:
    return user.target.name if user.target is not None else None
