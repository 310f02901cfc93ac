"""IMAP as a door calls it."""

from services.store.door.connection import Connection
from services.store.door.listener import Serve
from services.store.imap.session import Imap, Session
from services.store.imap.table import HANDLERS

TOO_MANY = b"* BYE [LIMIT] Too many connections\r\n"


def serving(imap: Imap) -> Serve:
    """What serves a connection."""

    async def serve(connection: Connection) -> None:
        await Session(imap, connection, HANDLERS).run()

    return serve
