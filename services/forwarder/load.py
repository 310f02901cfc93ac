"""From claimed documents to letters that can be sent: the user's target as it is now, and the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.forwarder.relay import Envelope, Route
from shared import logs
from shared.mailbox.bodies import Bodies
from shared.mailbox.letters import Letter
from shared.mailbox.users import User, Users
from shared.sealing import Seal, SealBroken

log = logs.get("load")


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed letter, ready to be sent. `by` is the forwarder's id under which it was claimed."""

    letter_id: str
    arming: int
    token: str
    by: str
    armed_at: datetime
    route: Route
    envelope: Envelope
    partition: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a batch of claimed letters: jobs; letters to be filed under another destination; and letters
    that cannot be sent, each with the reason and whether that parks it."""

    jobs: list[Job]
    misfiled: list[tuple[Letter, str]]
    unsendable: list[tuple[Letter, str, bool]]


class Loader:
    """Reads what a batch of claimed letters needs, in two round trips."""

    def __init__(self, users: Users, bodies: Bodies, seal: Seal) -> None:
        self._users = users
        self._bodies = bodies
        self._seal = seal

    async def load(self, letters: Sequence[Letter], destination: str, token: str, by: str) -> Loaded:
        """The target is that of the user now, not of the day of arrival (design rule 12). Raises MailboxUnavailable."""
        users = await self._users.by_address(letter["address"] for letter in letters)
        bodies = await self._bodies.raws(letter["receipt_id"] for letter in letters)
        loaded = Loaded([], [], [])
        for letter in letters:
            user, content = users.get(letter["address"]), bodies.get(letter["receipt_id"])
            if user is None or user.target is None or user.target_address is None:
                loaded.unsendable.append((letter, "the user has no target server any more", True))
            elif user.target.name != destination:
                loaded.misfiled.append((letter, user.target.name))
            elif content is None:
                log.error("body_missing", letter_id=letter["_id"])
                loaded.unsendable.append((letter, "its body is missing", False))
            else:
                self._add(loaded, letter, user, content, token, by)
        return loaded

    def _add(self, loaded: Loaded, letter: Letter, user: User, content: bytes, token: str, by: str) -> None:
        forward = letter["forward"]
        try:
            route = self._route(user)
        except SealBroken:
            log.error("target_password_unreadable", address=user.address)
            loaded.unsendable.append((letter, "the target server's password cannot be opened with our key", False))
            return
        envelope = Envelope(letter["sender"], user.target_address or "", content)
        armed_at, partition = forward["armed_at"], letter["partition"]
        loaded.jobs.append(Job(letter["_id"], forward["arming"], token, by, armed_at, route, envelope, partition))

    def _route(self, user: User) -> Route:
        """Raises SealBroken."""
        target = user.target
        assert target is not None  # noqa: S101  (the caller has looked)
        password = self._seal.open(target.password) if target.password is not None else None
        return Route(target.host, target.port, target.username, password, user.tls)
