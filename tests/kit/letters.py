"""Letters put straight into a database, for tests of what happens to them there."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ulid import ULID

from shared.letter import letter_id
from shared.mailbox.bodies import Bodies
from shared.mailbox.claims import Claims, Reply, Tried
from shared.mailbox.connect import Database
from shared.mailbox.letters import Letter, Letters, new_letter
from shared.mailbox.marks import Marks
from shared.mailbox.notices import Notices
from shared.mailbox.removal import Removal

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EXPIRES = NOW + timedelta(days=14)
TARGET = "main.example.test:25"

_offsets = itertools.count()


def a_letter(address: str = "ann@example.test", *, receipt_id: str | None = None, **fields: Any) -> Letter:
    """A letter that has just come in, waiting to be forwarded unless `destination` is None."""
    receipt = receipt_id or str(ULID())
    given: dict[str, Any] = {
        "letter_id": letter_id(receipt, address),
        "receipt_id": receipt,
        "address": address,
        "partition": 0,
        "offset": next(_offsets),
        "folder": "INBOX",
        "mode": "store_and_forward",
        "destination": TARGET,
        "size": 4,
        "received_at": NOW,
        "sender": "sender@elsewhere.test",
        "spam": None,
        "now": NOW,
        "due": NOW,
    }
    return new_letter(**{**given, **fields})


@dataclass(slots=True)
class Room:
    """The mailbox's collections side by side, and short ways to bring a letter to a state."""

    database: Database

    @property
    def letters(self) -> Letters:
        return Letters(self.database)

    @property
    def bodies(self) -> Bodies:
        return Bodies(self.database)

    @property
    def claims(self) -> Claims:
        return Claims(self.database)

    @property
    def removal(self) -> Removal:
        return Removal(self.database)

    @property
    def marks(self) -> Marks:
        return Marks(self.database)

    @property
    def notices(self) -> Notices:
        return Notices(self.database)

    async def put(self, *letters: Letter, raw: bytes = b"raw\n") -> list[str]:
        """Letters with their bodies, as intake leaves them; returns their ids."""
        bodies = [(letter["receipt_id"], raw, [letter["_id"]]) for letter in letters]
        await self.bodies.insert(bodies, origin={letter["receipt_id"]: (0, letter["offset"]) for letter in letters})
        await self.letters.insert(letters)
        return [letter["_id"] for letter in letters]

    async def put_new(self, **fields: Any) -> str:
        return (await self.put(a_letter(**fields)))[0]

    async def claimed(self, by: str = "forwarder", token: str = "token", **fields: Any) -> str:
        """A letter in flight."""
        name = await self.put_new(**fields)
        await self.claims.claim([name], by, token, NOW)
        return name

    async def end(self, name: str, end: str, *, token: str = "token", arming: int = 1, **fields: Any) -> list[Letter]:
        """Write down how a try of letter `name` ended."""
        return await self.claims.record([tried(name, end, token=token, arming=arming, **fields)], NOW)

    async def forwarded(self, **fields: Any) -> str:
        """A letter that the main server has, its copy still here."""
        name = await self.claimed(**fields)
        await self.end(name, "deliver")
        return name

    async def delete(self, name: str, *, reason: str = "user") -> Letter | None:
        return await self.removal.delete(name, reason=reason, now=NOW, expires_at=EXPIRES)

    async def tell_marks(self) -> None:
        """As the announcer does, without a bus."""
        await self.marks.clear(await self.marks.older_than(EXPIRES, 1000))

    async def now(self, name: str) -> Letter:
        """The document as it is, be it a gravestone."""
        document = await self.database["letters"].find_one({"_id": name})
        assert document is not None, f"{name} is not there"
        return document

    async def state(self, name: str) -> str:
        return str((await self.now(name))["forward"]["state"])


def tried(name: str, end: str, *, token: str = "token", arming: int = 1, code: int = 250, **fields: Any) -> Tried:
    """How a try ended."""
    text = fields.pop("text", "said the main server")
    given: dict[str, Any] = {"began_at": NOW, "seconds": 0.1, "by": "forwarder", "due": LATER, **fields}
    return Tried(letter_id=name, arming=arming, token=token, end=end, reply=Reply(code, text), **given)
