"""Commands that make, rename and remove folders, and tell of room (RFC 9051 section 6.3, RFC 9208)."""

from services.store.imap import commands as said
from services.store.imap import format as wire
from services.store.imap.answers import Answer, No
from services.store.imap.session import Session

# Those of RFC 6154 that a folder of ours can have: we show no views of all or of flagged letters.
_USES = frozenset(("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"))
ROOT = ""


async def create(session: Session, command: said.Create) -> Answer:
    address = session.address
    if not _USES.issuperset(command.uses) or len(command.uses) > 1:
        raise No("A folder cannot be for that here", "USEATTR")
    name = command.mailbox.rstrip("/")
    folder = await session.cabinet.create(address, name, command.uses[0] if command.uses else None)
    return Answer("Create completed", f"MAILBOXID ({folder.id})")


async def delete(session: Session, command: said.Delete) -> Answer:
    await session.cabinet.delete(session.address, command.mailbox)
    if session.selected is not None and session.selected.view.is_gone:
        session.deselect()
    return Answer("Delete completed")


async def rename(session: Session, command: said.Rename) -> Answer:
    await session.cabinet.rename(session.address, command.old, command.new)
    return Answer("Rename completed")


async def subscribe(session: Session, command: said.Subscribe) -> Answer:
    await session.cabinet.subscribe(session.address, command.mailbox, True)
    return Answer("Subscribe completed")


async def unsubscribe(session: Session, command: said.Unsubscribe) -> Answer:
    await session.cabinet.subscribe(session.address, command.mailbox, False)
    return Answer("Unsubscribe completed")


async def get_quota(session: Session, command: said.GetQuota) -> Answer:
    if command.root != ROOT:
        raise No("There is no such quota root", "NONEXISTENT")
    await session.tell(await _quota_line(session))
    return Answer("Getquota completed")


async def get_quota_root(session: Session, command: said.GetQuotaRoot) -> Answer:
    await session.cabinet.folder(session.address, command.mailbox)
    await session.tell(b'* QUOTAROOT %b ""\r\n' % wire.mailbox(command.mailbox, session.is_utf8))
    await session.tell(await _quota_line(session))
    return Answer("Getquotaroot completed")


async def _quota_line(session: Session) -> bytes:
    """In units of 1,024 octets (RFC 9208 section 5.1). Without a limit there is nothing to tell."""
    quota = await session.cabinet.quota(session.address)
    if not quota.limit:
        return b'* QUOTA "" ()\r\n'
    return b'* QUOTA "" (STORAGE %d %d)\r\n' % (-(-quota.used // 1024), quota.limit // 1024)
