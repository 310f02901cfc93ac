"""FETCH and UID FETCH (RFC 9051 section 6.4.5, RFC 7162 section 3.1.4)."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.store.folders.cabinet import READ_AT_ONCE
from services.store.folders.view import SEEN, Row
from services.store.imap import commands as said
from services.store.imap.answers import Answer, Bad, No
from services.store.imap.numbers import uids_of
from services.store.imap.pieces import NOTHING, Pieces, pieces, sets_seen
from services.store.imap.selecting import changes_since
from services.store.imap.selection import Selection
from services.store.imap.session import Session
from services.store.mime.rendering import Rendering
from services.store.mime.sections import UnknownEncoding

# Letters that are answered in one go; behind them, others have their turn.
BATCH = 500
_BATCH_WITH_BYTES = 250


async def fetch(session: Session, command: said.Fetch) -> Answer:
    selection = session.selection
    if command.wants_vanished and not (session.has_qresync and command.is_uid):
        raise Bad("VANISHED is for UID FETCH, once QRESYNC is enabled")
    uids = uids_of(selection.grip, command.numbers, selection.saved, is_uid=command.is_uid)
    if command.changed_since is not None:
        session.enabled.add("CONDSTORE")
        uids = _changed(selection, uids, command.changed_since)
    if command.wants_vanished and command.changed_since is not None:
        told = await changes_since(session, selection, command.changed_since, command.numbers)
        await session.tell(*(line for line in told if line.startswith(b"* VANISHED")))
    wanted = pieces(_items(session, command))
    marked = await _mark_seen(session, selection, uids) if sets_seen(wanted) else frozenset()
    gone = await Fetching(session, selection, wanted, marked).answer(uids)
    if gone:
        raise No("Some of the messages are gone", "EXPUNGEISSUED")
    return Answer("Fetch completed")


def _changed(selection: Selection, uids: Sequence[int], since: int) -> Sequence[int]:
    return [uid for uid in uids if (row := selection.grip.row(uid)) is not None and row.modseq > since]


def _items(session: Session, command: said.Fetch) -> list[said.Item | said.Section]:
    """UID FETCH tells the UID, CHANGEDSINCE the modseq, asked for or not."""
    items = list(command.items)
    if command.is_uid and said.Item("UID") not in items:
        items.insert(0, said.Item("UID"))
    if command.changed_since is not None:
        items.append(said.Item("MODSEQ"))
    if said.Item("MODSEQ") in items:
        session.enabled.add("CONDSTORE")
    return items


async def _mark_seen(session: Session, selection: Selection, uids: Sequence[int]) -> frozenset[int]:
    """Those letters that were not read yet, and are now."""
    if selection.is_read_only:
        return frozenset()
    rows = selection.view.rows
    unseen = [uid for uid in uids if uid in rows and SEEN not in rows[uid].flags]
    if unseen:
        await session.cabinet.set_flags(selection.view, unseen, "add", [SEEN])
    return frozenset(unseen)


@dataclass(frozen=True, slots=True)
class _Read:
    """Some letters, and what was read of them; `needing` are the UIDs whose bytes are needed."""

    rows: list[Row]
    renderings: dict[str, Rendering]
    raws: dict[str, bytes]
    needing: set[int]


class Fetching:
    """The answers to one FETCH."""

    def __init__(self, session: Session, selection: Selection, wanted: Pieces, marked: frozenset[int]) -> None:
        self._session = session
        self._selection = selection
        self._wanted = wanted
        # Their flags are told, too: the command has changed them.
        self._marked = marked
        self._with_flags = pieces([said.Item("FLAGS")]).of_row[0]
        self._tells_flags = self._with_flags in wanted.of_row

    async def answer(self, uids: Sequence[int]) -> bool:
        """Whether a letter was gone so that nothing could be told of it."""
        is_incomplete = False
        ahead: asyncio.Task[_Read] | None = None
        try:
            # While one batch is being said, the next is read.
            for rows in self._batches(uids):
                behind, ahead = ahead, asyncio.ensure_future(self._read(rows))
                if behind is not None:
                    is_incomplete |= await self._say(await behind)
            if ahead is not None:
                is_incomplete |= await self._say(await ahead)
        finally:
            if ahead is not None:
                ahead.cancel()
        return is_incomplete

    def _batches(self, uids: Sequence[int]) -> Iterator[list[Row]]:
        most = _BATCH_WITH_BYTES if self._wanted.may_need_raw else BATCH
        some: list[Row] = []
        octets = 0
        for uid in uids:
            row = self._selection.grip.row(uid)
            if row is None:
                continue
            if some and (len(some) == most or (self._wanted.may_need_raw and octets + row.size > READ_AT_ONCE)):
                yield some
                some, octets = [], 0
            some.append(row)
            octets += row.size
        if some:
            yield some

    async def _read(self, rows: list[Row]) -> "_Read":
        """What is needed to answer for these."""
        wanted = self._wanted
        renderings: dict[str, Rendering] = {}
        if wanted.needs_rendering:
            renderings = await self._session.imap.renderings.fill([row.receipt_id for row in rows])
        needing = [row for row in rows if wanted.needs_raw(renderings.get(row.receipt_id))] if wanted.sections else []
        raws = await self._session.cabinet.bodies(needing) if needing else {}
        return _Read(rows, renderings, raws, {row.uid for row in needing})

    async def _say(self, read: "_Read") -> bool:
        """Whether something was missing."""
        is_incomplete = False
        for row in read.rows:
            rendering = read.renderings.get(row.receipt_id)
            raw = read.raws.get(row.receipt_id)
            if (rendering is None and self._wanted.needs_rendering) or (raw is None and row.uid in read.needing):
                is_incomplete = True
                continue
            await self._answer_one(row, rendering, raw or NOTHING)
        self._told(read.rows)
        await asyncio.sleep(0)
        return is_incomplete

    async def _answer_one(self, row: Row, rendering: Rendering | None, raw: bytes) -> None:
        number = self._selection.grip.number(row.uid)
        if number is None:
            return
        try:
            line = self._wanted.line(number, row, rendering, raw)
        except UnknownEncoding:
            raise No("The transfer encoding is not known", "UNKNOWN-CTE") from None
        if row.uid in self._marked and not self._tells_flags:
            line = line[:-3] + b" " + self._with_flags(self._selection.grip.row(row.uid) or row) + b")\r\n"
        await self._session.connection.write(line)

    def _told(self, rows: list[Row]) -> None:
        """Flags that were told need not be told again."""
        told = self._marked if not self._tells_flags else {row.uid for row in rows}
        self._selection.grip.changed.difference_update(told)
