"""The TRANSACTION state: the letters are there to be listed, fetched and marked (RFC 1939 section 5)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from services.store.door.connection import Connection
from services.store.pop3 import any as in_any
from services.store.pop3.commands import Capa, Command, Dele, Lang, List, Noop, Quit, Retr, Rset, Stat, Top, Uidl
from services.store.pop3.dots import dotted, end_of_top
from services.store.pop3.maildrop import Maildrop
from services.store.pop3.replies import BadCommand, many_lines, ok
from services.store.pop3.sending import send
from services.store.pop3.update import keep_read, update

if TYPE_CHECKING:
    from services.store.pop3.session import Pop3, State

# RFC 2449 section 4; the CRLF is not counted here.
LINE_OCTETS = 255
# To count lines in more would keep others waiting.
LARGE_OCTETS = 1024 * 1024


class Transaction:
    """From the login to QUIT."""

    line_octets = LINE_OCTETS

    def __init__(self, connection: Connection, pop3: "Pop3", maildrop: Maildrop) -> None:
        self._connection = connection
        self._pop3 = pop3
        self._maildrop = maildrop

    async def obey(self, command: Command) -> "State | None":
        """As Authorization.obey."""
        deed = _DEEDS.get(type(command))
        if deed is None:
            raise BadCommand("you are logged in")
        return await deed(self, command)

    async def abandon(self) -> None:
        """Without QUIT nothing is deleted (RFC 1939 section 6). What was read was read."""
        await keep_read(self._maildrop)

    async def _tell_capabilities(self, _: Capa) -> "State":
        await send(self._connection, in_any.capabilities(self._connection))
        return self

    async def _tell_language(self, command: Lang) -> "State":
        await send(self._connection, in_any.language(command))
        return self

    async def _count(self, _: Stat) -> "State":
        await self._connection.write(ok(f"{self._maildrop.count} {self._maildrop.octets}"))
        return self

    async def _list_sizes(self, command: List) -> "State":
        if command.number is not None:
            await self._connection.write(ok(f"{command.number} {self._maildrop.row(command.number).size}"))
        else:
            lines = (f"{number} {row.size}" for number, row in self._maildrop.rows())
            await send(self._connection, many_lines(self._summary(), lines))
        return self

    async def _list_ids(self, command: Uidl) -> "State":
        """A letter's own id: it outlives a move to another folder and back, and a database made again from Kafka."""
        if command.number is not None:
            await self._connection.write(ok(f"{command.number} {self._maildrop.row(command.number).letter_id}"))
        else:
            lines = (f"{number} {row.letter_id}" for number, row in self._maildrop.rows())
            await send(self._connection, many_lines(self._summary(), lines))
        return self

    async def _fetch(self, command: Retr) -> "State":
        raw = await self._maildrop.raw(command.number)
        await self._connection.write(ok(f"{len(raw)} octets"))
        await send(self._connection, dotted(raw))
        self._maildrop.mark_read(command.number)
        return self

    async def _fetch_top(self, command: Top) -> "State":
        raw = await self._maildrop.raw(command.number)
        if len(raw) <= LARGE_OCTETS:
            end = end_of_top(raw, command.lines)
        else:
            end = await asyncio.to_thread(end_of_top, raw, command.lines)
        await self._connection.write(ok("the top follows"))
        await send(self._connection, dotted(raw, end))
        return self

    async def _mark_deleted(self, command: Dele) -> "State":
        self._maildrop.mark_deleted(command.number)
        await self._connection.write(ok("it goes at QUIT"))
        return self

    async def _unmark(self, _: Rset) -> "State":
        self._maildrop.unmark()
        await self._connection.write(ok(self._summary()))
        return self

    async def _do_nothing(self, _: Noop) -> "State":
        await self._connection.write(ok("here"))
        return self

    async def _quit(self, _: Quit) -> None:
        await self._connection.write(await update(self._maildrop, self._pop3.users))

    def _summary(self) -> str:
        return f"{self._maildrop.count} letters ({self._maildrop.octets} octets)"


_DEEDS: Mapping[type, Callable[[Transaction, Any], Awaitable["State | None"]]] = {
    Capa: Transaction._tell_capabilities,
    Lang: Transaction._tell_language,
    Quit: Transaction._quit,
    Stat: Transaction._count,
    List: Transaction._list_sizes,
    Retr: Transaction._fetch,
    Dele: Transaction._mark_deleted,
    Noop: Transaction._do_nothing,
    Rset: Transaction._unmark,
    Top: Transaction._fetch_top,
    Uidl: Transaction._list_ids,
}
