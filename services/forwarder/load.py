"""From claimed documents to letters that can be sent: the user's target as it is now, and the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.forwarder.client import Client
from services.forwarder.relay import Envelope, Route
from shared import logs
from shared.mailbox.bodies import Bodies
from shared.mailbox.letters import Letter
from shared.mailbox.users import User, Users
from shared.sealing import Seal, SealBroken
from shared.target import TargetServer

log = logs.get("load")

NO_TARGET = "the user has no target server any more"
NO_RELAY = "NOTICE_RELAY, where notices go, is not set any more"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed letter, ready to be sent. `by` is the forwarder's id under which it was claimed; `address` is the
    user's, of a notice its recipient's: whom a refusal was about."""

    letter_id: str
    address: str
    arming: int
    token: str
    by: str
    armed_at: datetime
    attempts: int
    refused_at: datetime | None
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
    """Reads what a batch of claimed letters needs, in two round trips. Notices go to `relay`, if there is one."""

    def __init__(self, users: Users, bodies: Bodies, seal: Seal, relay: TargetServer | None) -> None:
        self._users = users
        self._bodies = bodies
        self._seal = seal
        self._relay = relay

    async def load(self, letters: Sequence[Letter], destination: str, token: str, by: str) -> Loaded:
        """The target is that of the user now, not of the day of arrival (design rule 12). Raises MailboxUnavailable."""
        users = await self._users.by_address(letter["address"] for letter in letters)
        bodies = await self._bodies.raws(letter["receipt_id"] for letter in letters)
        loaded = Loaded([], [], [])
        for letter in letters:
            user, content = users.get(letter["address"]), bodies.get(letter["receipt_id"])
            name = self._destination(letter, user)
            if name is None:
                loaded.unsendable.append((letter, NO_RELAY if "notice" in letter else NO_TARGET, True))
            elif name != destination:
                loaded.misfiled.append((letter, name))
            elif content is None:
                log.error("body_missing", letter_id=letter["_id"])
                loaded.unsendable.append((letter, "its body is missing", False))
            else:
                self._add(loaded, letter, user, content, token, by)
        return loaded

    def _destination(self, letter: Letter, user: User | None) -> str | None:
        """Where it goes now; None: nowhere."""
        if "notice" in letter:
            return self._relay.name if self._relay is not None else None
        if user is None or user.target is None or user.target_address is None:
            return None
        return user.target.name

    def _add(self, loaded: Loaded, letter: Letter, user: User | None, content: bytes, token: str, by: str) -> None:
        forward = letter["forward"]
        try:
            route, envelope = self._way(letter, user, content)
        except SealBroken:
            log.error("target_password_unreadable", address=letter["address"])
            loaded.unsendable.append((letter, "the target server's password cannot be opened with our key", False))
            return
        loaded.jobs.append(
            Job(
                letter_id=letter["_id"],
                address=letter["notice"]["recipient"] if "notice" in letter else letter["address"],
                arming=forward["arming"],
                token=token,
                by=by,
                armed_at=forward["armed_at"],
                attempts=forward["attempts"],
                refused_at=forward.get("refused_at"),
                route=route,
                envelope=envelope,
                partition=letter["partition"],
            )
        )

    def _way(self, letter: Letter, user: User | None, content: bytes) -> tuple[Route, Envelope]:
        """For a letter that has a destination. Raises SealBroken."""
        if "notice" in letter:
            relay = self._relay
            assert relay is not None  # noqa: S101  (the caller has looked)
            route = Route(relay.host, relay.port, relay.username, relay.password, "opportunistic")
            return route, Envelope("", letter["notice"]["recipient"], content)
        target = user.target if user is not None else None
        assert user is not None and target is not None  # noqa: S101, PT018  (likewise)
        password = self._seal.open(target.password) if target.password is not None else None
        route = Route(target.host, target.port, target.username, password, user.tls, user.pass_client)
        return route, Envelope(letter["sender"], user.target_address or "", content, _client(letter))


def _client(letter: Letter) -> Client | None:
    """Who handed the letter in; not known of one of an earlier version."""
    known = letter.get("client") or {}
    return Client(known["address"], known.get("name"), known.get("helo")) if known.get("address") else None
