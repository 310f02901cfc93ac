"""STORE, EXPUNGE, COPY, MOVE and APPEND: what is done to letters (RFC 9051 sections 6.3.12 and 6.4)."""

from collections.abc import Sequence

from services.store.folders.view import DELETED, FORWARD_KEYWORDS
from services.store.imap import commands as said
from services.store.imap import format as wire
from services.store.imap.answers import Answer, No
from services.store.imap.numbers import uids_of
from services.store.imap.selection import Selection
from services.store.imap.session import Session
from shared.mailbox.folders import Folder, FolderMissing

_READ_ONLY = {keyword.lower() for keyword in FORWARD_KEYWORDS}


def _writable(session: Session) -> Selection:
    selection = session.selection
    if selection.is_read_only:
        raise No("The mailbox is open for reading only", "READ-ONLY")
    return selection


async def store(session: Session, command: said.Store) -> Answer:
    selection = _writable(session)
    uids = list(uids_of(selection.grip, command.numbers, selection.saved, is_uid=command.is_uid))
    there = [uid for uid in uids if uid in selection.view.rows]
    if command.unchanged_since is not None:
        session.enabled.add("CONDSTORE")
    flags = [flag for flag in command.flags if flag.lower() not in _READ_ONLY]
    untold = set(selection.grip.changed)
    spared: list[int] = []
    if there and (flags or command.how == "replace"):
        spared = await session.cabinet.set_flags(selection.view, there, command.how, flags, command.unchanged_since)
    await _tell_flags(session, selection, command, there, untold, set(spared))
    if spared:
        return Answer("Some were changed by others", f"MODIFIED {_numbers(selection, spared, is_uid=command.is_uid)}")
    if len(there) < len(uids):
        raise No("Some of the messages are gone", "EXPUNGEISSUED")
    return Answer("Store completed")


async def _tell_flags(
    session: Session, selection: Selection, command: said.Store, uids: Sequence[int], untold: set[int], spared: set[int]
) -> None:
    """The flags as they are now; with .SILENT only what the client cannot know: the modseq, and what others did."""
    grip = selection.grip
    if any(not selection.keywords.issuperset(row.flags) for uid in uids if (row := grip.row(uid)) is not None):
        before = set(selection.keywords)
        line = selection.flags_line()
        if selection.keywords - before:
            await session.tell(line)
    is_quiet = command.is_silent and not session.has_condstore
    for uid in uids:
        row, number = grip.row(uid), grip.number(uid)
        if row is None or number is None or uid in spared or is_quiet:
            continue
        if command.is_silent:
            uid_item = b"UID %d " % uid if command.is_uid or session.has_qresync else b""
            await session.tell(b"* %d FETCH (%bMODSEQ (%d))\r\n" % (number, uid_item, row.modseq))
            continue
        await session.tell(
            selection.changed_line(
                number, row, with_uid=command.is_uid or session.has_qresync, with_modseq=session.has_condstore
            )
        )
    grip.changed.difference_update(uid for uid in uids if not command.is_silent or uid not in untold)


def _numbers(selection: Selection, uids: Sequence[int], *, is_uid: bool) -> str:
    found = uids if is_uid else [number for uid in uids if (number := selection.grip.number(uid))]
    return wire.numbers(sorted(found)).decode()


async def expunge(session: Session, command: said.Expunge) -> Answer:
    selection = _writable(session)
    uids: Sequence[int] = selection.grip.uids
    if command.uids is not None:
        uids = uids_of(selection.grip, command.uids, selection.saved, is_uid=True)
    await expunge_deleted(session, selection, uids)
    code = f"HIGHESTMODSEQ {selection.view.folder.modseq}" if session.has_qresync else None
    return Answer("Expunge completed", code)


async def expunge_deleted(session: Session, selection: Selection, uids: Sequence[int]) -> None:
    """Those that carry \\Deleted as far as this session can know; the database looks again."""
    rows = selection.view.rows
    marked = [uid for uid in uids if uid in rows and DELETED in rows[uid].flags]
    if marked:
        await session.cabinet.expunge(selection.view, marked)
    else:
        await selection.refresh()


async def copy(session: Session, command: said.Copy) -> Answer:
    selection = session.selection
    uids = list(uids_of(selection.grip, command.numbers, selection.saved, is_uid=command.is_uid))
    to = await _destination(session, command.mailbox)
    copied = await session.cabinet.copy(selection.view, uids, to)
    if len(copied) < len(uids):
        raise No("Some of the messages are gone", "EXPUNGEISSUED")
    return Answer("Copy completed", _copyuid(to, copied))


async def move(session: Session, command: said.Move) -> Answer:
    """RFC 6851 section 3: the new numbers are told before the old ones go."""
    selection = _writable(session)
    uids = list(uids_of(selection.grip, command.numbers, selection.saved, is_uid=command.is_uid))
    to = await _destination(session, command.mailbox)
    if to.id == selection.view.folder.id:
        raise No("The messages are there already", "CANNOT")
    moved = await session.cabinet.move(selection.view, uids, to)
    code = _copyuid(to, moved)
    if code:
        await session.tell(f"* OK [{code}] Moved\r\n".encode())
    modseq = f"HIGHESTMODSEQ {selection.view.folder.modseq}" if session.has_qresync else None
    return Answer("Move completed", modseq)


async def _destination(session: Session, name: str) -> Folder:
    try:
        return await session.cabinet.folder(session.address, name)
    except FolderMissing:
        raise No("There is no such mailbox: make it first", "TRYCREATE") from None


def _copyuid(to: Folder, numbers: dict[int, int]) -> str | None:
    """RFC 4315 section 3: the sets stand in one order."""
    if not numbers:
        return None
    source = sorted(numbers)
    there = [numbers[uid] for uid in source]
    return f"COPYUID {to.uidvalidity} {_ordered(source)} {_ordered(there)}"


def _ordered(uids: Sequence[int]) -> str:
    """As a set whose order counts; rising runs as ranges."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(f"{first}" if first == last else f"{first}:{last}" for first, last in runs)


async def append(session: Session, command: said.Append) -> Answer:
    to = await _destination(session, command.mailbox)
    messages = [
        (message.raw, [flag for flag in message.flags if flag.lower() not in _READ_ONLY], message.at)
        for message in command.messages
    ]
    if any(not raw for raw, _, _ in messages):
        raise No("An empty message is none")
    uids = await session.cabinet.append(to, messages)
    if session.selected is not None and session.selected.view.folder.id == to.id:
        await session.selected.refresh()
    return Answer("Append completed", f"APPENDUID {to.uidvalidity} {_ordered(uids)}")
