"""SELECT, EXAMINE, CLOSE, UNSELECT and IDLE (RFC 9051 sections 6.3.2, 6.3.3, 6.4.1, 6.4.2 and 6.3.13)."""

import asyncio
from collections.abc import Iterator

from services.store.door.connection import LineTooLong
from services.store.folders.view import SEEN, Grip
from services.store.imap import commands as said
from services.store.imap import format as wire
from services.store.imap.answers import Answer, Bad
from services.store.imap.handling import expunge_deleted
from services.store.imap.numbers import common, ranges_within
from services.store.imap.selection import SYSTEM, Selection
from services.store.imap.session import Session

# Some programs, and boxes in between, take a silent connection for a dead one.
STILL_HERE_SECONDS = 120.0
_LONGEST_DONE = 1024


async def select(session: Session, command: said.Select) -> Answer:
    if command.resync is not None and not session.has_qresync:
        raise Bad("Enable QRESYNC first")
    if session.selected is not None:
        session.deselect()
        await session.tell(b"* OK [CLOSED] Closed\r\n")
    if command.wants_condstore:
        session.enabled.add("CONDSTORE")
    folder = await session.cabinet.folder(session.address, command.mailbox)
    async with session.cabinet.opened(folder, between=lambda: _still_here(session)) as view:
        grip = Grip(view, session.connection.rouse)
    session.selected = Selection(session.cabinet, grip, is_read_only=command.is_read_only)
    await session.tell(*_opening(session, session.selected))
    if command.resync is not None:
        await session.tell(*await _resync(session, session.selected, command.resync))
    if command.is_read_only:
        return Answer("Examine completed", "READ-ONLY")
    return Answer("Select completed", "READ-WRITE")


async def _still_here(session: Session) -> None:
    """A folder of 100,000 letters takes a while to be numbered."""
    await session.tell(b"* OK Still at it\r\n")
    await session.connection.flush()


def _opening(session: Session, selection: Selection) -> Iterator[bytes]:
    """RFC 9051 section 6.3.2, and what RFC 3501 had besides."""
    folder, grip = selection.view.folder, selection.grip
    yield selection.flags_line()
    kept = wire.flag_list((*SYSTEM, *sorted(selection.keywords), "\\*"))
    yield b"* OK [PERMANENTFLAGS %b] Limited\r\n" % (b"()" if selection.is_read_only else kept)
    yield b"* %d EXISTS\r\n" % len(grip)
    if not session.is_rev2:
        yield b"* 0 RECENT\r\n"
        unseen = _first_unseen(grip)
        if unseen:
            yield b"* OK [UNSEEN %d] First unseen\r\n" % unseen
    yield b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % folder.uidvalidity
    yield b"* OK [UIDNEXT %d] Predicted next UID\r\n" % folder.uidnext
    yield b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % folder.modseq
    yield b"* OK [MAILBOXID (%b)] Ok\r\n" % folder.id.encode()
    if session.is_rev2:
        yield b'* LIST () "/" %b\r\n' % wire.mailbox(folder.name, session.is_utf8)


def _first_unseen(grip: Grip) -> int | None:
    rows = grip.view.rows
    return next((number for number, uid in enumerate(grip.uids, 1) if SEEN not in rows[uid].flags), None)


async def _resync(session: Session, selection: Selection, asked: said.Resync) -> list[bytes]:
    """What has happened since the client was here last (RFC 7162 section 3.2.5)."""
    if asked.uidvalidity != selection.view.folder.uidvalidity:
        return []
    return await changes_since(session, selection, asked.modseq, asked.known)


async def changes_since(session: Session, selection: Selection, modseq: int, known: said.Numbers | None) -> list[bytes]:
    """`* VANISHED (EARLIER) ...` and the flags of all that changed after `modseq`, of the UIDs in `known`."""
    told: list[bytes] = []
    gone = common(await session.cabinet.views.gone(selection.view, modseq), known)
    if gone:
        told.append(b"* VANISHED (EARLIER) %b\r\n" % wire.ranges(gone))
    for uid in ranges_within(known, selection.grip.uids):
        row = selection.grip.row(uid)
        number = selection.grip.number(uid)
        if row is not None and number is not None and row.modseq > modseq:
            told.append(selection.changed_line(number, row, with_uid=True, with_modseq=True))
    return told


async def close(session: Session, _: said.Close) -> Answer:
    selection = session.selection
    code = None
    if not selection.is_read_only:
        await expunge_deleted(session, selection, selection.grip.uids)
        code = f"HIGHESTMODSEQ {selection.view.folder.modseq}" if session.has_qresync else None
    session.deselect()
    return Answer("Close completed", code)


async def unselect(session: Session, _: said.Unselect) -> Answer:
    session.selection  # noqa: B018 - raises where there is none
    session.deselect()
    return Answer("Unselect completed")


async def idle(session: Session, _: said.Idle) -> Answer:
    """Tell of what happens, as it happens, until the client says DONE."""
    session.address  # noqa: B018 - raises before login
    if session.selected is not None:
        await session.selected.refresh()
    await session.tell(b"+ idling\r\n")
    await session.tell_news(with_expunged=True)
    await session.connection.flush()
    loop = asyncio.get_running_loop()
    spoken_at = loop.time()
    waker = loop.call_later(STILL_HERE_SECONDS, session.connection.rouse)
    try:
        while not await session.connection.heard():
            await session.tell_news(with_expunged=True)
            if loop.time() - spoken_at >= STILL_HERE_SECONDS:
                spoken_at = loop.time()
                waker.cancel()
                waker = loop.call_later(STILL_HERE_SECONDS, session.connection.rouse)
                await session.tell(b"* OK Still here\r\n")
            await session.connection.flush()
    finally:
        waker.cancel()
    return await _done(session)


async def _done(session: Session) -> Answer:
    try:
        line = await session.connection.read_line(_LONGEST_DONE)
    except LineTooLong:
        line = b""
    if line.strip().upper() != b"DONE":
        raise Bad("Expected DONE")
    return Answer("Idle completed")
