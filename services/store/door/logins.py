"""Who is let in, at every door: by name and password, at most so fast, and with so many sessions at once.

What somebody is told who is not let in does not say why: no such user, a wrong password, a disabled or leaving user and
an administrator at a door for users are one answer, made in the same steps and after the same pause.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

from services.store.accounts import ADMIN, Accounts
from services.store.door import metrics
from services.store.door.admission import is_loopback, network_of
from services.store.door.connection import Connection
from services.store.mailbox import Person
from services.store.passwords import TooBusy
from shared import logs
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.tries import Tries, Try
from shared.settings import Store

log = logs.get("logins")

DoorName = Literal["imap", "pop3", "http"]

# After the first wrong password, and at most; each one doubles it. The answer waits, nobody else does.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
# A right password is not counted again for so long, for who says it at each call.
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 10_000
# Between two looks whether those who have sessions are still users.
WATCH_SECONDS = 10.0
# An address has 320 octets at most; a longer name is nobody's, and is counted by its hash.
_LONGEST_NAME = 320


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in: a code of RFC 5530 (POP3 says it by RFC 3206 and 2449), and the text for him.

    UNAVAILABLE: nothing is said of the password, the same may do later. LIMIT: too many wrong passwords, for
    `wait_seconds` more, or too many sessions.
    """

    code: Literal["AUTHENTICATIONFAILED", "LIMIT", "UNAVAILABLE"]
    text: str
    wait_seconds: float = 0.0


WRONG = Refusal("AUTHENTICATIONFAILED", "wrong name or password")
UNAVAILABLE = Refusal("UNAVAILABLE", "nobody can be let in at present, try again later")
TOO_MANY_SESSIONS = Refusal("LIMIT", "too many sessions of this user at once")
_TOO_MANY_TRIES = "too many wrong passwords, try again later"


@dataclass(frozen=True, slots=True)
class _Credentials:
    """What was said, where. `digest` stands for the password in what is remembered."""

    name: str
    network: str
    door: DoorName
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Judgement:
    """`number` is that of the wrong try in its row; `is_remembered`: it was right a moment ago, too."""

    verdict: Person | Refusal
    number: int = 0
    is_remembered: bool = False


class Logins:
    """Lets people in. One for a process; what it counts of tries is shared by all through the database."""

    def __init__(self, accounts: Accounts, tries: Tries, clock: Clock, settings: Store) -> None:
        self._accounts = accounts
        self._tries = tries
        self._clock = clock
        self._most_sessions = settings.connections_per_user
        self._sessions: dict[str, set[Connection]] = {}
        self._salt = secrets.token_bytes(16)
        # The last right password of each name and network, and until when it is remembered.
        self._right: dict[tuple[str, str], tuple[bytes, float]] = {}
        self._under_way: dict[_Credentials, asyncio.Task[_Judgement]] = {}

    async def log_in(self, name: str, password: str, connection: Connection) -> Person | Refusal:
        """Let somebody in who begins a session on `connection`, and count it among his until that is gone.

        Never an administrator. What is refused for `connections_per_user` is told only to who knows the password.
        """
        try:
            found = await self.let_in(name, password, connection.peer, connection.door.name)
        except (MailboxUnavailable, TooBusy):
            return UNAVAILABLE
        if isinstance(found, Refusal):
            return found
        sessions = self._sessions.setdefault(found.name, set())
        if len(sessions) >= self._most_sessions:
            _tell_failed(found.name, connection.peer, connection.door.name, "sessions")
            return TOO_MANY_SESSIONS
        log.info("logged_in", door=connection.door.name, client=connection.peer, account=found.name)
        sessions.add(connection)
        connection.at_end(partial(self._forget_session, found.name, connection))
        return found

    async def watch(self, stop: asyncio.Event) -> None:
        """Until `stop`, part from the sessions of users who may not enter any more."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_SECONDS)
            with contextlib.suppress(MailboxUnavailable):
                await self.part_from_strangers()

    async def part_from_strangers(self) -> None:
        """As `watch` does it now and then. Raises MailboxUnavailable."""
        names = list(self._sessions)
        welcome = await self._accounts.welcome(names) if names else set()
        for name in set(names) - welcome:
            for connection in list(self._sessions.get(name, ())):
                log.info("session_ended", door=connection.door.name, client=connection.peer, account=name)
                connection.part()

    async def let_in(self, name: str, password: str, peer: str, door: DoorName) -> Person | Refusal:
        """The person that `name` and `password` stand for; administrators at the door "http" only.

        Raises:
            MailboxUnavailable, TooBusy: nothing is known of the password.
        """
        # As UTF-8 can hold it: what is no text is nobody's name.
        name = name.encode("utf-8", "backslashreplace").decode().lower()
        said = _Credentials(name, network_of(peer), door, self._digest(password))
        judgement = await asyncio.shield(self._judging(said, password, peer))
        if judgement.verdict is WRONG:
            _tell_failed(name, peer, door, "password")
            await asyncio.sleep(pause_seconds(judgement.number))
        elif isinstance(judgement.verdict, Refusal):
            _tell_failed(name, peer, door, "tries")
        elif door == "http" and not judgement.is_remembered:
            log.info("logged_in", door=door, client=peer, account=name)
        return judgement.verdict

    def _judging(self, said: _Credentials, password: str, peer: str) -> "asyncio.Task[_Judgement]":
        """A program that opens ten connections at once says one password: it is judged, and counted, once."""
        judging = self._under_way.get(said)
        if judging is None:
            judging = self._under_way[said] = asyncio.ensure_future(self._judge(said, password, peer))
            judging.add_done_callback(lambda _: self._under_way.pop(said, None))
        return judging

    async def _judge(self, said: _Credentials, password: str, peer: str) -> _Judgement:
        if self._is_remembered(said) and (person := await self._verify(said, password)):
            return _Judgement(person, is_remembered=True)
        account = said.name if len(said.name) <= _LONGEST_NAME else hashlib.sha256(said.name.encode()).hexdigest()
        made = await self._tries.ask(account, said.network, self._clock.now(), is_exempt=is_loopback(peer))
        if made.wait_seconds:
            return _Judgement(Refusal("LIMIT", _TOO_MANY_TRIES, made.wait_seconds))
        try:
            found = await self._verify(said, password)
        except (MailboxUnavailable, TooBusy):
            await self._undo(made)
            raise
        if found is None:
            await self._tries.wrong(made, self._clock.now())
            return _Judgement(WRONG, made.number)
        await self._tries.right(made, self._clock.now())
        self._remember(said)
        return _Judgement(found)

    async def _verify(self, said: _Credentials, password: str) -> Person | None:
        return await self._accounts.verify(said.name, password, administrators=said.door == "http")

    async def _undo(self, made: Try) -> None:
        with contextlib.suppress(MailboxUnavailable):
            await self._tries.undone(made, self._clock.now())

    # Right passwords of the last minute

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode("utf-8", "replace"), key=self._salt).digest()

    def _is_remembered(self, said: _Credentials) -> bool:
        """Whether this is the right password of a moment ago. Another one makes that forgotten, and is counted: what is
        remembered must not be a place where passwords can be tried for nothing."""
        digest, until = self._right.pop((said.name, said.network), (b"", 0.0))
        if not secrets.compare_digest(digest, said.digest) or until < time.monotonic():
            return False
        self._right[said.name, said.network] = digest, until
        return True

    def _remember(self, said: _Credentials) -> None:
        if len(self._right) >= MOST_REMEMBERED:
            self._right.clear()
        self._right[said.name, said.network] = said.digest, time.monotonic() + REMEMBERED_SECONDS

    def _forget_session(self, name: str, connection: Connection) -> None:
        sessions = self._sessions.get(name, set())
        sessions.discard(connection)
        if not sessions:
            self._sessions.pop(name, None)


def pause_seconds(number: int) -> float:
    """How long the answer to the wrong password of this number in its row waits."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(number - 1, 10), LONGEST_PAUSE_SECONDS))


def _tell_failed(name: str, peer: str, door: DoorName, why: str) -> None:
    """People type passwords where names belong: only what looks like a name is told."""
    metrics.LOGINS_FAILED.inc()
    is_name = name == ADMIN or ("@" in name and len(name) <= _LONGEST_NAME)
    log.info("login_failed", door=door, client=peer, account=name if is_name else None, why=why)
