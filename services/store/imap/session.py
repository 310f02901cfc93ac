"""A session: commands in, answers out, and in which state it is (RFC 9051 section 3)."""

import time
from array import array
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.store.door.connection import Connection, Hangup, Parting, ServiceEnds
from services.store.door.logins import Logins
from services.store.folders.cabinet import Cabinet, NotPossible, OverQuota
from services.store.imap import capabilities
from services.store.imap import commands as said
from services.store.imap.answers import Answer, Bad, Bye, Ended
from services.store.imap.incoming import Budget, Incoming
from services.store.imap.parse import BadCommand, Unfit
from services.store.imap.selection import Selection
from services.store.mailbox import Person
from services.store.passwords import TooBusy
from services.store.renderings import Renderings
from shared import logs
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.folders import FolderExists, FolderMissing
from shared.settings import Store

log = logs.get("imap")

# In a row; a program that speaks something else is not listened to for ever.
MOST_BAD = 50
MOST_WRONG_LOGINS = 10
SLOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Imap:
    """What all sessions of a process work with."""

    settings: Store
    cabinet: Cabinet
    logins: Logins
    renderings: Renderings
    clock: Clock
    budget: Budget


Handler = Callable[["Session", Any], Awaitable[Answer]]
# Elsewhere numbers must not change under commands that are on their way (RFC 9051 section 7.5.1). The UID forms are
# spared, too: Thunderbird misses one that stands in the answer to a UID FETCH.
_TELLS_EXPUNGED = (said.Noop, said.Check, said.Expunge, said.Move, said.Idle)


class Session:
    """One client."""

    def __init__(self, imap: Imap, connection: Connection, handlers: Mapping[type, Handler]) -> None:
        self.imap = imap
        self._handlers = handlers
        self.connection = connection
        self.incoming = Incoming(connection, imap.budget, imap.settings.max_message_bytes)
        self.person: Person | None = None
        self.enabled: set[str] = set()
        self.selected: Selection | None = None
        # Of the command that is being carried out.
        self.tag = ""
        self._bad = 0
        self._wrong_logins = 0

    # State

    @property
    def cabinet(self) -> Cabinet:
        return self.imap.cabinet

    @property
    def address(self) -> str:
        """Whose mailbox it is. Raises Bad: nobody's yet."""
        if self.person is None:
            raise Bad("Log in first")
        return self.person.name

    @property
    def selection(self) -> Selection:
        """Raises Bad: no mailbox is selected."""
        if self.selected is None:
            raise Bad("Select a mailbox first")
        return self.selected

    @property
    def is_utf8(self) -> bool:
        """Names and texts go in UTF-8 (RFC 6855 section 3, RFC 9051 section 5.1)."""
        return bool(self.enabled & {"UTF8=ACCEPT", "IMAP4REV2"})

    @property
    def is_rev2(self) -> bool:
        return "IMAP4REV2" in self.enabled

    @property
    def has_condstore(self) -> bool:
        return bool(self.enabled & {"CONDSTORE", "QRESYNC"})

    @property
    def has_qresync(self) -> bool:
        return "QRESYNC" in self.enabled

    def capabilities(self) -> str:
        if self.person is not None:
            return capabilities.after_login(self.imap.settings.max_message_bytes)
        connection = self.connection
        return capabilities.before_login(can_start_tls=connection.can_start_tls, is_private=connection.is_private)

    def deselect(self) -> None:
        if self.selected is not None:
            self.selected.close()
            self.selected = None

    # Talk

    async def tell(self, *lines: bytes) -> None:
        """Untagged answers; they go out with the next flush."""
        for line in lines:
            await self.connection.write(line)

    async def tell_news(self, *, with_expunged: bool) -> None:
        """What has changed in the selected mailbox."""
        if self.selected is not None:
            await self.tell(
                *self.selected.news(
                    with_expunged=with_expunged,
                    with_uid=self.has_qresync,
                    with_modseq=self.has_condstore,
                    as_vanished=self.has_qresync,
                )
            )

    async def run(self) -> None:
        """From the greeting to the end."""
        try:
            await self.tell(f"* OK [CAPABILITY {self.capabilities()}] Understudy is ready\r\n".encode())
            while await self._one_command():
                pass
        except Bye as bye:
            await self.tell(f"* BYE {bye}\r\n".encode())
        except Parting as parting:
            why = "The server is shutting down" if isinstance(parting, ServiceEnds) else "Autologout: too long idle"
            code = "[UNAVAILABLE] " if isinstance(parting, ServiceEnds) else ""
            await self.tell(f"* BYE {code}{why}\r\n".encode())
        finally:
            self.incoming.release()
            self.deselect()

    async def _one_command(self) -> bool:
        """False: the session is over."""
        await self.connection.flush()
        try:
            read = await self.incoming.command(is_logged_in=self.person is not None, is_utf8=self.is_utf8)
        except Unfit as unfit:
            await self._answer_unfit(unfit)
            return True
        if read is None:
            return True
        tag, command = read
        self.tag = tag
        began = time.monotonic()
        answer = await self._answer(command)
        if answer.then_tls:
            await self.connection.start_tls(answer.line(tag))
            return True
        await self.tell(answer.line(tag))
        if (seconds := time.monotonic() - began) > SLOW_SECONDS and not isinstance(command, said.Idle):
            log.info("slow_command", command=type(command).__name__, seconds=round(seconds, 1))
        return not isinstance(command, said.Logout)

    async def _answer_unfit(self, unfit: Unfit) -> None:
        status = "BAD" if isinstance(unfit, BadCommand) else "NO"
        if status == "NO" and unfit.name in ("SEARCH", "UID") and self.selected is not None:
            self.selected.saved = array("I")
        await self.tell(Answer(unfit.text, unfit.code, status).line(unfit.tag or "*"))
        self._count_bad(is_bad=status == "BAD")

    def count_wrong_login(self) -> None:
        """Who guesses has to connect anew now and then. Raises Bye."""
        self._wrong_logins += 1
        if self._wrong_logins >= MOST_WRONG_LOGINS:
            raise Bye("Too many wrong passwords")

    def _count_bad(self, *, is_bad: bool) -> None:
        self._bad = self._bad + 1 if is_bad else 0
        if self._bad >= MOST_BAD:
            raise Bye("Too many commands that are none")

    async def _answer(self, command: said.Command) -> Answer:
        try:
            answer = await self._handlers[type(command)](self, command)
            await self.tell_news(with_expunged=isinstance(command, _TELLS_EXPUNGED))
        except Ended as ended:
            answer = ended.answer
        except (MailboxUnavailable, TooBusy) as error:
            log.warning("imap_unavailable", command=type(command).__name__, error=str(error)[:200])
            answer = Answer("The mailbox cannot be reached at this moment: try again", "UNAVAILABLE", "NO")
        except FolderMissing:
            if self.selected is not None and self.selected.view.is_gone:
                raise Bye("The selected mailbox is gone") from None
            answer = Answer("There is no such mailbox", "NONEXISTENT", "NO")
        except FolderExists:
            answer = Answer("There is a mailbox of that name", "ALREADYEXISTS", "NO")
        except NotPossible as error:
            answer = Answer(str(error), "CANNOT", "NO")
        except OverQuota as error:
            answer = Answer(str(error), "OVERQUOTA", "NO")
        except (Bye, Parting, Hangup):
            raise
        except Exception:
            log.exception("imap_bug", command=type(command).__name__)
            answer = Answer("Something is wrong here; it is written down", "SERVERBUG", "NO")
        self._count_bad(is_bad=answer.status == "BAD")
        return answer
