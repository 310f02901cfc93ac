"""A POP3 session from greeting to good-bye, and what it works with."""

from dataclasses import dataclass
from typing import Protocol

from services.store.door.connection import Connection, Hangup, LineTooLong, Parting, ServiceEnds
from services.store.door.logins import Logins
from services.store.folders.cabinet import Cabinet
from services.store.pop3.authorization import Authorization
from services.store.pop3.commands import Command
from services.store.pop3.parse import parse
from services.store.pop3.replies import SYS_TEMP, BadCommand, Refused, err, ok
from shared import logs
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.users import Users
from shared.settings import Store

log = logs.get("pop3")

TOO_MANY = err("too many connections, try again later", SYS_TEMP)
# Of these in a row: then it is no mail program that speaks.
MOST_BAD_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Pop3:
    """What sessions work with. `serve` is for a Door, and TOO_MANY its words for who is not admitted."""

    cabinet: Cabinet
    logins: Logins
    users: Users
    settings: Store

    async def serve(self, connection: Connection) -> None:
        """One session. Raises Hangup, Parting."""
        await Session(connection, self).run()


class State(Protocol):
    """What commands mean at one time. `line_octets` is how long they may be."""

    @property
    def line_octets(self) -> int: ...

    async def obey(self, command: Command) -> "State | None": ...

    async def abandon(self) -> None: ...


class Session:
    """One connection's life, by its states."""

    def __init__(self, connection: Connection, pop3: Pop3) -> None:
        self._connection = connection
        self._hostname = pop3.settings.hostname
        self._state: State | None = Authorization(connection, pop3)
        self._bad_commands = 0

    async def run(self) -> None:
        """Until QUIT, or until nobody is there. Who is silent for too long is left without a word, as RFC 1939 section
        3 has it: whatever is said unasked would be taken for the answer to what is asked next."""
        await self._say(ok(f"{self._hostname} has mail"))
        try:
            while self._state is not None:
                self._state = await self._turn(self._state)
        except (Hangup, Parting) as end:
            if isinstance(end, ServiceEnds):
                await self._say(err("this server is being stopped", SYS_TEMP))
            if self._state is not None:
                await self._state.abandon()
            raise

    async def _turn(self, state: State) -> State | None:
        """One command and its answer; returns the state that follows."""
        following: State | None = state
        try:
            following = await state.obey(await self._command(state.line_octets))
            self._bad_commands = 0
        except (Hangup, Parting):
            raise
        except BadCommand as bad:
            following = await self._count_bad(state, bad)
        except Refused as refused:
            await self._connection.write(refused.reply)
        except MailboxUnavailable as error:
            log.warning("command_failed", client=self._connection.peer, error=str(error))
            await self._connection.write(err("the mailbox is away, try again later", SYS_TEMP))
        except Exception:
            log.exception("command_failed", client=self._connection.peer)
            await self._connection.write(err("something is wrong here, try again later", SYS_TEMP))
        await self._connection.flush()
        return following

    async def _command(self, line_octets: int) -> Command:
        try:
            return parse(await self._connection.read_line(line_octets))
        except LineTooLong:
            raise BadCommand("the line is too long") from None

    async def _count_bad(self, state: State, bad: BadCommand) -> State | None:
        self._bad_commands += 1
        await self._connection.write(bad.reply)
        if self._bad_commands < MOST_BAD_COMMANDS:
            return state
        log.info("too_many_bad_commands", client=self._connection.peer)
        await state.abandon()
        return None

    async def _say(self, words: bytes) -> None:
        await self._connection.write(words)
        await self._connection.flush()
