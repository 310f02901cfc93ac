"""What a person may do with a mailbox. Every door calls this, so that they all see and allow the same."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.store.summaries import Summaries
from shared.announcer import Announcer
from shared.letter import UNFINISHED, WAITING, State
from shared.mailbox.bodies import Bodies, BodyMissing
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.folders import Folders
from shared.mailbox.letters import INBOX, Letter, Letters
from shared.mailbox.removal import Removal, answer_to_binned, answer_to_delete
from shared.mailbox.users import POSTMASTER, Users
from shared.settings import Store

# Made for each user.
FOLDERS = (INBOX, "Sent", "Drafts", "Junk", "Trash", "Archive")
# A search looks at so many letters at a time; the cursor goes on from there.
SEARCHED_LETTERS = 2000
_LOOKED_AT_ONCE = 200
TELLING_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts. `name` is a user's address, or an administrator's name."""

    name: str
    is_administrator: bool


class NotThere(Exception):
    """No such thing, or not for this person: the two are not to be told apart."""


class NotNow(Exception):
    """The thing is in a state in which this cannot be done. The text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a mailbox."""

    name: str
    letters: int
    unread: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters of a mailbox. `unfiled`: also those in no folder, which are only forwarded."""

    folder: str | None = None
    state: str | None = None
    text: str | None = None
    unfiled: bool = False


class Mailbox:
    """Letters, as persons see and handle them."""

    def __init__(
        self, database: Database, clock: Clock, settings: Store, announcer: Announcer, summaries: Summaries
    ) -> None:
        self._users = Users(database)
        self._letters = Letters(database)
        self._folders = Folders(database)
        self._bodies = Bodies(database)
        self._removal = Removal(database)
        self._claims = Claims(database)
        self._clock = clock
        self._bin_time = timedelta(days=settings.bin_deleted_days)
        self._announcer = announcer
        self._summaries = summaries

    async def folders(self, person: Person, address: str) -> list[Folder]:
        """Every folder of a mailbox, the usual ones first. Raises NotThere."""
        await self._enter(person, address)
        counts = await self._letters.folders(address)
        made = {folder.name for folder in await self._folders.all(address)}
        others = sorted((made | set(counts)).difference(FOLDERS))
        return [Folder(name, *counts.get(name, (0, 0))) for name in (*FOLDERS, *others)]

    async def page(
        self, person: Person, address: str, wanted: Wanted, before: str | None, limit: int
    ) -> tuple[list[Letter], str | None]:
        """Up to `limit` letters, newest first, older than the id `before`; and from where to go on, if there is more.

        Administrators see what is only forwarded, too: where it is parked, nobody else could.

        Raises:
            NotThere: no such mailbox for this person.
        """
        await self._enter(person, address)
        wanted = replace(wanted, unfiled=person.is_administrator)
        if wanted.text:
            return await self._search(address, wanted, before, limit)
        found = await self._read(address, wanted, before, limit + 1)
        page = found[:limit]
        await self._summaries.fill(page)
        return page, page[-1]["_id"] if len(found) > limit else None

    async def letter(self, person: Person, letter_id: str) -> Letter:
        """One letter, in its folder or in the bin. Raises NotThere."""
        letter = await self._visible(person, letter_id)
        await self._summaries.fill([letter])
        return letter

    async def raw(self, person: Person, letter_id: str) -> bytes:
        """The letter as it came. Raises NotThere."""
        letter = await self._visible(person, letter_id)
        try:
            return await self._bodies.raw(letter["receipt_id"])
        except BodyMissing:
            # Purged since the line above.
            raise NotThere from None

    async def delete(self, person: Person, letter_id: str) -> str:
        """Move a letter to the bin and cancel its forward; returns what became of that: cancelled, in_flight,
        forwarded or none. In the bin already, nothing changes. Raises NotThere."""
        letter = await self._visible(person, letter_id)
        before = await self._bin(letter, "admin" if person.is_administrator else "user")
        if before is not None:
            return answer_to_delete(before)
        return answer_to_binned(await self._in_bin(person, letter_id))

    async def purge(self, person: Person, letter_id: str) -> None:
        """Take a letter in the bin away for good. Raises NotThere, NotNow."""
        letter = await self._visible(person, letter_id)
        if "binned" not in letter:
            raise NotNow("the letter is not in the bin: delete it first, then purge it")
        if letter["forward"]["state"] in UNFINISHED:
            raise NotNow("the letter is being forwarded at this moment: try again when that is over")
        gone = await self._purged(letter)
        await self._bodies.release(gone)
        await self._removal.released([letter_id])

    async def _purged(self, letter: Letter) -> dict[str, list[str]]:
        """A letter is not purged before its deletion is told, which takes a moment."""
        for pause in TELLING_PAUSES_SECONDS:
            gone = await self._removal.purge([letter], self._clock.now())
            if gone:
                return gone
            self._announcer.announce_soon([letter["_id"]])
            await asyncio.sleep(pause)
        raise NotNow("the letter's deletion is not told to the other services yet: try again")

    async def forward_now(self, person: Person, letter_id: str) -> Letter:
        """Override a waiting letter's clock, or arm a parked one again. Raises NotThere, NotNow."""
        letter = await self._visible(person, letter_id)
        moved = await self._hurry(letter)
        self._announcer.announce_soon([letter_id])
        await self._summaries.fill([moved])
        return moved

    async def _hurry(self, letter: Letter) -> Letter:
        state = State(letter["forward"]["state"])
        now = self._clock.now()
        if state is State.IN_FLIGHT and "binned" not in letter:
            return letter
        if state is State.PARKED and "binned" not in letter:
            moved = await self._claims.rearm(letter["_id"], await self._destination(letter), now)
        elif state in WAITING:
            moved = await self._claims.make_due(letter["_id"], now)
        else:
            raise NotNow(f"the letter's forward is {_in_words(letter)}: there is nothing to hurry")
        if moved is None:
            raise NotNow("the letter's forward has changed at this moment: look again")
        return moved

    async def _destination(self, letter: Letter) -> str:
        if "notice" in letter:
            # Where notices go now the forwarder knows; it files this one there.
            return str(letter["forward"]["destination"])
        user = await self._users.get(letter["address"])
        if user is None or user.target is None:
            raise NotNow("the user has no target server any more: give him one first")
        return user.target.name

    async def _search(
        self, address: str, wanted: Wanted, before: str | None, limit: int
    ) -> tuple[list[Letter], str | None]:
        """As `page`, of letters that hold a text. Ends early after many that do not, with a cursor to go on."""
        text = (wanted.text or "").casefold()
        found: list[Letter] = []
        for _ in range(SEARCHED_LETTERS // _LOOKED_AT_ONCE):
            looked_at = await self._read(address, wanted, before, _LOOKED_AT_ONCE)
            await self._summaries.fill(looked_at)
            for letter in looked_at:
                before = letter["_id"]
                if _holds(letter, text):
                    found.append(letter)
                if len(found) == limit:
                    return found, before
            if len(looked_at) < _LOOKED_AT_ONCE:
                return found, None
        return found, before

    async def _read(self, address: str, wanted: Wanted, before: str | None, limit: int) -> list[Letter]:
        return await self._letters.page(
            address, folder=wanted.folder, unfiled=wanted.unfiled, state=wanted.state, before=before, limit=limit
        )

    async def _enter(self, person: Person, address: str) -> None:
        """Raises NotThere: no such mailbox, or not this person's."""
        if not person.is_administrator:
            if person.name != address:
                raise NotThere
        elif address != POSTMASTER and await self._users.get(address) is None:
            raise NotThere

    async def _visible(self, person: Person, letter_id: str) -> Letter:
        """Raises NotThere: gone, or not for this person. What is only forwarded, administrators alone see."""
        letter = await self._letters.get(letter_id)
        if letter is None or not may_see(person, letter["address"], letter["folder"]):
            raise NotThere
        return letter

    async def _in_bin(self, person: Person, letter_id: str) -> Letter:
        letter = await self._visible(person, letter_id)
        if "binned" not in letter:
            # Restored between the two looks; the person may say it again.
            raise NotNow("the letter has changed at this moment: look again")
        return letter

    async def _bin(self, letter: Letter, reason: str) -> Letter | None:
        now = self._clock.now()
        before = await self._removal.delete(letter["_id"], reason=reason, now=now, expires_at=self.bin_until(now))
        if before is not None:
            self._announcer.announce_soon([letter["_id"]])
        return before

    def bin_until(self, now: datetime) -> datetime:
        """When what is deleted now leaves the bin."""
        return now + self._bin_time


def may_see(person: Person, address: str, folder: str | None) -> bool:
    """Whether a letter of `address` in `folder` is for this person."""
    return person.is_administrator or (person.name == address and folder is not None)


def _in_words(letter: Letter) -> str:
    if "binned" in letter:
        return "over, and the letter in the bin"
    state: str = letter["forward"]["state"]
    return {"none": "not wanted", "forwarded": "done"}.get(state, state)


def _holds(letter: Letter, text: str) -> bool:
    summary = letter["summary"]
    places = (summary["from"], summary["to"], summary["subject"], letter["sender"])
    return any(text in place.casefold() for place in places)
