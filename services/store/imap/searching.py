"""SEARCH and UID SEARCH (RFC 9051 section 6.4.4)."""

from array import array

from services.store.imap import commands as said
from services.store.imap.answers import Answer, No
from services.store.imap.search import TooBroad, answer, find, kept
from services.store.imap.session import Session


async def search(session: Session, command: said.Search) -> Answer:
    selection, imap = session.selection, session.imap
    before, saves = selection.saved, command.returning is not None and "SAVE" in command.returning
    if saves:
        # What is refused leaves nothing saved (RFC 5182 section 2.1); `$` in it means what was before.
        selection.saved = array("I")
    try:
        found = await find(command.key, selection.grip, imap.renderings, imap.clock.now(), before)
    except TooBroad:
        raise No("That search would take too long: say less at once", "LIMIT") from None
    if found.modseqs is not None:
        session.enabled.add("CONDSTORE")
    if saves:
        selection.saved = kept(command, found)
    await session.tell(answer(session.tag, command, found, is_rev2=session.is_rev2))
    return Answer("Search completed")
