"""One command off the line: its lines and literals, with what may come bounded before it is read."""

import asyncio
from dataclasses import dataclass
from functools import partial

from services.store.door.connection import Connection, LineTooLong
from services.store.imap.answers import Answer, Bye
from services.store.imap.commands import Command
from services.store.imap.parse import BadCommand, LiteralAhead, Unfit, head_of, literal_of, parse

LINE_BEFORE_LOGIN, LITERAL_BEFORE_LOGIN = 8 * 1024, 4 * 1024
# A search of 10,000 terms is a line; a name or a text that is searched for is a literal.
LINE, LITERAL = 512 * 1024, 64 * 1024
LITERALS = 512 * 1024
LONG_LINE = 16 * 1024
# Of literals that come unasked and are too large: past it the connection is cut instead of reading them all.
SKIPPED = 128 * 1024 * 1024
# What all sessions of a process may hold of letters that are being put in.
BUDGET = 512 * 1024 * 1024


class Budget:
    """Octets of literals in memory, over all sessions."""

    def __init__(self, octets: int = BUDGET) -> None:
        self._left = octets

    def take(self, octets: int) -> bool:
        if octets > self._left:
            return False
        self._left -= octets
        return True

    def free(self, octets: int) -> None:
        self._left += octets


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one command."""

    line: int
    literal: int
    literals: int


def limits(name: str, *, is_logged_in: bool, append_limit: int) -> Limits:
    """`name` of the command, in capitals."""
    if not is_logged_in:
        return Limits(LINE_BEFORE_LOGIN, LITERAL_BEFORE_LOGIN, 2 * LITERAL_BEFORE_LOGIN)
    if name == "APPEND":
        return Limits(LINE, append_limit, 2 * append_limit)
    return Limits(LINE, LITERAL, LITERALS)


class Incoming:
    """Reads commands."""

    def __init__(self, connection: Connection, budget: Budget, append_limit: int) -> None:
        self._connection = connection
        self._budget = budget
        self._append_limit = append_limit
        self._taken = 0

    async def command(self, *, is_logged_in: bool, is_utf8: bool) -> tuple[str, Command] | None:
        """The next command, with its tag; None: an empty line, as a DONE too many.

        Raises:
            Unfit: it is to be answered, and the session goes on.
            Bye, Hangup, Parting.
        """
        self.release()
        line = await self._first_line(LINE if is_logged_in else LINE_BEFORE_LOGIN)
        if not line:
            return None
        tag, name = head_of(line)
        bounds = limits(name, is_logged_in=is_logged_in, append_limit=self._append_limit)
        chunks = [line]
        refused: Unfit | None = None
        while (ahead := _ahead(tag, chunks[-1])) is not None:
            fault = self._fault(ahead.octets, sum(map(len, chunks)), bounds)
            if fault is not None and ahead.is_synchronizing:
                raise _refused(tag, fault)
            if fault is not None:
                refused = refused or _refused(tag, fault)
            chunks.append(await self._literal(ahead.octets, is_synchronizing=ahead.is_synchronizing, fault=fault))
            chunks.append(await self._line(tag, bounds.line))
        if refused is not None:
            raise refused
        if sum(map(len, chunks[::2])) > LONG_LINE:
            # A search of 10,000 terms takes longer than others should wait.
            parsed = await asyncio.to_thread(partial(parse, chunks, is_utf8=is_utf8))
        else:
            parsed = parse(chunks, is_utf8=is_utf8)
        return parsed.tag, parsed.command

    def release(self) -> None:
        """What the last command held is of no use any more."""
        self._budget.free(self._taken)
        self._taken = 0

    async def _first_line(self, limit: int) -> bytes:
        try:
            return await self._connection.read_line(limit)
        except LineTooLong as error:
            await self._skip_literal(error)
            raise BadCommand(head_of(error.start).tag, "The line is too long") from None

    async def _line(self, tag: str | None, limit: int) -> bytes:
        try:
            return await self._connection.read_line(limit)
        except LineTooLong as error:
            await self._skip_literal(error)
            raise BadCommand(tag, "The line is too long") from None

    async def _skip_literal(self, error: LineTooLong) -> None:
        """What comes unasked behind such a line is no command."""
        end = error.end
        while (ahead := _ahead(None, end)) is not None and not ahead.is_synchronizing:
            await self._skip(ahead.octets)
            try:
                end = await self._connection.read_line(LINE)
            except LineTooLong as again:
                end = again.end

    def _fault(self, octets: int, so_far: int, bounds: Limits) -> Answer | None:
        if octets > bounds.literal:
            return Answer(f"A literal may have {bounds.literal} octets here", "TOOBIG", "NO")
        if self._taken + octets > bounds.literals or so_far > bounds.literals + bounds.line:
            return Answer("The command is too long", "LIMIT", "NO")
        if not self._budget.take(octets):
            return Answer("Too much is being put in at this moment", "UNAVAILABLE", "NO")
        self._taken += octets
        return None

    async def _literal(self, octets: int, *, is_synchronizing: bool, fault: Answer | None) -> bytes:
        if fault is not None:
            await self._skip(octets)
            return b""
        if is_synchronizing:
            await self._connection.write(b"+ OK\r\n")
            await self._connection.flush()
        return await self._connection.read_exactly(octets)

    async def _skip(self, octets: int) -> None:
        if octets > SKIPPED:
            raise Bye("That literal is too large")
        await self._connection.skip(octets)


def _ahead(tag: str | None, line: bytes) -> LiteralAhead | None:
    """The literal that follows a line. One whose size is no number that fits is not waited for."""
    try:
        return literal_of(line)
    except BadCommand as error:
        if line.endswith(b"+}"):
            raise Bye("That literal is too large") from None
        raise BadCommand(tag, error.text, error.code) from None


def _refused(tag: str | None, fault: Answer) -> Unfit:
    return Unfit(tag, fault.text, fault.code)
