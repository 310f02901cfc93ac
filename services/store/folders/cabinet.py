"""What a person may do with his folders and the letters in them. The doors for mail programs call nothing else."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ulid import ULID

from services.store.folders.view import DELETED, Row, View
from services.store.folders.views import Views
from services.store.mailbox import Mailbox
from shared.announcer import Announcer
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.filing import TRASH, Filing
from shared.mailbox.folders import Folder, FolderExists, FolderMissing, Folders
from shared.mailbox.letters import INBOX, Letters
from shared.mailbox.own import OwnLetters
from shared.mailbox.users import Users
from shared.settings import Store

# Made for each user, with what each is for (RFC 6154).
USES = {INBOX: None, "Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": TRASH, "Archive": "\\Archive"}
MOST_FOLDERS = 1000
_QUOTA_SECONDS = 5.0
# Bodies that are read together, in octets.
READ_AT_ONCE = 4 * 1024 * 1024


class NotPossible(Exception):
    """This cannot be done with that folder; the text says why."""


class OverQuota(Exception):
    """There is no room for what the person wants to put in."""


@dataclass(frozen=True, slots=True)
class Quota:
    """In octets; a limit of 0: none."""

    used: int
    limit: int


class Cabinet:
    """The folders of all users."""

    def __init__(
        self, database: Database, clock: Clock, settings: Store, announcer: Announcer, mailbox: Mailbox
    ) -> None:
        self._folders = Folders(database)
        self._letters = Letters(database)
        self._filing = Filing(database)
        self._own = OwnLetters(database, settings.partitions)
        self._bodies = Bodies(database)
        self._users = Users(database)
        self._clock = clock
        self._announcer = announcer
        self._mailbox = mailbox
        self._quota_octets = settings.mailbox_quota_bytes
        self._used: dict[str, tuple[float, int]] = {}
        self.views = Views(database, clock)

    # Folders

    async def folders(self, address: str) -> list[Folder]:
        """A user's folders: the usual ones first, the others by name. Raises MailboxUnavailable."""
        found = {folder.name: folder for folder in await self._folders.all(address)}
        for name in USES:
            if name not in found:
                found[name] = await self._made(address, name)
        others = sorted(name for name in found if name not in USES)
        return [found[name] for name in (*USES, *others)]

    async def folder(self, address: str, name: str) -> Folder:
        """Raises FolderMissing, MailboxUnavailable."""
        folder = await self._folders.get(address, name)
        if folder is None and name in USES:
            folder = await self._made(address, name)
        if folder is None:
            raise FolderMissing(name)
        return folder

    async def _made(self, address: str, name: str, use: str | None = None) -> Folder:
        """The folder, made unless another makes it at this moment."""
        try:
            return await self._folders.make(address, name, self._clock.now(), use=USES.get(name) or use)
        except FolderExists:
            folder = await self._folders.get(address, name)
            if folder is None:
                raise FolderMissing(name) from None
            return folder

    async def create(self, address: str, name: str, use: str | None = None) -> Folder:
        """Make a folder, and those above it that are missing. Raises FolderExists, NotPossible, MailboxUnavailable."""
        existing = {folder.name: folder for folder in await self.folders(address)}
        if name in existing:
            raise FolderExists(name)
        levels = name.split("/")
        above = ["/".join(levels[:depth]) for depth in range(1, len(levels))]
        if len(existing) + len(levels) > MOST_FOLDERS:
            raise NotPossible(f"there are {len(existing)} folders, and {MOST_FOLDERS} are the most")
        for missing in above:
            if missing not in existing:
                await self._made(address, missing)
        return await self._folders.make(address, name, self._clock.now(), use=use)

    async def delete(self, address: str, name: str) -> None:
        """Take a folder away; its letters are deleted as by a person. Raises FolderMissing, NotPossible."""
        folder = await self.folder(address, name)
        if name in USES:
            raise NotPossible(f"{name} is made for every user and stays")
        async with self.views.opened(folder) as view:
            while view.uids:
                await self.expunge(view, list(view.uids), only_deleted=False)
            if view.folder.is_subscribed:
                await self._folders.miss(view.folder)
            await self._folders.remove(view.folder)
            view.close()

    async def rename(self, address: str, old: str, new: str) -> None:
        """Give a folder and those below it another name. Of INBOX, the letters go into the new folder (RFC 9051 section
        6.3.6). Raises FolderMissing, FolderExists, NotPossible, MailboxUnavailable."""
        folder = await self.folder(address, old)
        if old == INBOX:
            await self._move_inbox(folder, await self.create(address, new))
            return
        if old in USES:
            raise NotPossible(f"{old} is made for every user and stays")
        if new.startswith(old + "/"):
            raise NotPossible("a folder cannot be put below itself")
        everything = await self.folders(address)
        if any(other.name == new for other in everything):
            raise FolderExists(new)
        moving = [f for f in everything if f.name == old or f.name.startswith(old + "/")]
        levels = new.split("/")
        for depth in range(1, len(levels)):
            if not any(other.name == "/".join(levels[:depth]) for other in everything):
                await self._made(address, "/".join(levels[:depth]))
        for one in moving:
            # What has no number yet would be left behind under the old name.
            await self.views.jobs.catch_up(one.id)
            await self._folders.rename(one, new + one.name[len(old) :])

    async def _move_inbox(self, inbox: Folder, to: Folder) -> None:
        async with self.views.opened(inbox) as view:
            while view.uids:
                await self.move(view, list(view.uids), to)

    async def subscribe(self, address: str, name: str, is_subscribed: bool) -> None:
        """Raises FolderMissing."""
        if name in USES:
            await self.folder(address, name)
        if not await self._folders.subscribe(address, name, is_subscribed):
            raise FolderMissing(name)

    async def missed(self, address: str) -> list[str]:
        """Names that are subscribed, of folders that are no more."""
        return await self._folders.missed(address)

    def opened(self, folder: Folder, between: Callable[[], Any] | None = None) -> AbstractAsyncContextManager[View]:
        """The folder's view, up to date, for the length of a block. Raises FolderMissing, MailboxUnavailable."""
        return self.views.opened(folder, between)

    # Letters

    async def set_flags(
        self, view: View, uids: Sequence[int], how: str, flags: Sequence[str], unchanged_since: int | None = None
    ) -> list[int]:
        """Set flags (`how`: add, remove, replace); the view has them when this returns. Returns those UIDs that have
        changed since and were left alone."""
        return await self.views.set_flags(view, list(uids), how, list(flags), unchanged_since)

    async def expunge(self, view: View, uids: Sequence[int], *, only_deleted: bool = True) -> None:
        """Delete letters: into the bin, their forwards cancelled; with `only_deleted` those that carry \\Deleted."""
        now = self._clock.now()
        flag = DELETED if only_deleted else None
        ids = await self._filing.bin(view.folder, uids, flag=flag, now=now, expires_at=self._mailbox.bin_until(now))
        self._announcer.announce_soon(ids)
        await self.views.refresh(view)

    async def move(self, view: View, uids: Sequence[int], to: Folder) -> dict[int, int]:
        """Move letters; into Trash their forwards are cancelled, out of it armed again. Returns for each its number
        there."""
        token = str(ULID())
        user = await self._users.get(view.folder.address)
        moved = await self._filing.move(
            view.folder,
            uids,
            to,
            token=token,
            now=self._clock.now(),
            destination=user.target.name if user is not None and user.target is not None else None,
        )
        if TRASH in (to.use, view.folder.use):
            self._announcer.announce_soon(list(moved))
        places = await self._placed(to, list(moved))
        await self.views.refresh(view)
        return {uid: places[letter] for letter, uid in moved.items() if letter in places}

    async def copy(self, view: View, uids: Sequence[int], to: Folder) -> dict[int, int]:
        """Copy letters: the copies are the person's own. Returns for each its copy's number. Raises OverQuota."""
        await self._make_room(to.address, sum(row.size for uid in uids if (row := view.rows.get(uid))))
        copied = await self._own.copy(view.folder, uids, to, token=str(ULID()), now=self._clock.now())
        places = await self._placed(to, list(copied.values()))
        return {uid: places[letter] for uid, letter in copied.items() if letter in places}

    async def append(self, to: Folder, messages: Sequence[tuple[bytes, Sequence[str], datetime | None]]) -> list[int]:
        """Put letters in; returns their numbers. Raises OverQuota."""
        await self._make_room(to.address, sum(len(raw) for raw, _, _ in messages))
        ids = await self._own.append(to, messages, token=str(ULID()), now=self._clock.now())
        places = await self._placed(to, ids)
        return [places[letter] for letter in ids if letter in places]

    async def _placed(self, to: Folder, ids: Sequence[str]) -> dict[str, int]:
        """The numbers that letters get that have just been filed."""
        if not ids:
            return {}
        folder = to
        for _ in range(3):
            try:
                async with self.views.opened(folder) as view:
                    return await self.views.places(view, ids)
            except FolderMissing:
                # It was taken away at this moment. What is filed under its name is not lost: the name is made again.
                folder = await self._made(to.address, to.name)
        raise FolderMissing(to.name)

    async def hide(self, view: View, uids: Sequence[int]) -> None:
        """POP3 shows these no more; nothing else changes (N8)."""
        await self._letters.hide_from_pop3([row.letter_id for uid in uids if (row := view.rows.get(uid))])
        await self.views.reread(view, uids)

    async def bodies(self, rows: Sequence[Row]) -> dict[str, bytes]:
        """The bytes of letters, by receipt; a letter that is purged is left out. As many as READ_AT_ONCE holds are
        asked for together; the caller takes care of how many he asks for."""
        return await self._bodies.raws([row.receipt_id for row in rows])

    # Quota

    async def quota(self, address: str) -> Quota:
        """What a user's folders hold; the bin does not count. As it was a few seconds ago at most."""
        now = time.monotonic()
        asked_at, used = self._used.get(address, (-_QUOTA_SECONDS, 0))
        if now - asked_at >= _QUOTA_SECONDS:
            used = await self._letters.octets(address)
            if len(self._used) > MOST_FOLDERS:
                self._used.clear()
            self._used[address] = now, used
        return Quota(used, self._quota_octets)

    async def _make_room(self, address: str, octets: int) -> None:
        if self._quota_octets and (await self.quota(address)).used + octets > self._quota_octets:
            raise OverQuota(f"the mailbox may hold {self._quota_octets} octets")
