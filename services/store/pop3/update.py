"""The UPDATE state: what was marked is deleted (RFC 1939 section 6)."""

from services.store.pop3.maildrop import Maildrop
from services.store.pop3.replies import SYS_TEMP, err, ok
from shared import logs
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.folders import FolderMissing
from shared.mailbox.users import Users

log = logs.get("pop3")

HIDE = "hide"


async def update(maildrop: Maildrop, users: Users) -> bytes:
    """Do what the session has left to be done; returns the answer to QUIT. The session is over either way: where the
    database is away, the client hears that its letters may still be there, and deletes them another time."""
    await keep_read(maildrop)
    try:
        user = await users.get(maildrop.address)
        hide = user is not None and user.pop3_delete == HIDE
        deleted = await maildrop.delete(hide=hide)
    except MailboxUnavailable as error:
        log.warning("update_failed", address=maildrop.address, error=str(error))
        return err("some of the letters may not be deleted: try again later", SYS_TEMP)
    if deleted:
        log.info("letters_deleted", address=maildrop.address, letters=deleted, hidden=hide)
    return ok("good-bye")


async def keep_read(maildrop: Maildrop) -> None:
    """Note what was read, as far as that can be done now: nobody is to wait, or to be refused, for this."""
    try:
        await maildrop.keep_read()
    except (MailboxUnavailable, FolderMissing) as error:
        log.warning("seen_not_kept", address=maildrop.address, error=str(error))
