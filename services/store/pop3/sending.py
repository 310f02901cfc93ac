"""Answers of many pieces, without keeping others waiting."""

import asyncio
from collections.abc import Iterable

from services.store.door.connection import Connection, Hangup
from shared import logs

log = logs.get("pop3")

# A client that takes an answer as fast as it comes never makes us wait: then others get their turn by this.
_TURN_OCTETS = 64 * 1024


async def send(connection: Connection, pieces: Iterable[bytes]) -> None:
    """Say all of `pieces`. What goes wrong in their midst cuts the connection: a client that is owed the end of a
    letter would take an -ERR for a part of it. Raises Hangup."""
    said = 0
    try:
        for piece in pieces:
            await connection.write(piece)
            said += len(piece)
            if said >= _TURN_OCTETS:
                said = 0
                await asyncio.sleep(0)
    except Hangup:
        raise
    except Exception:
        log.exception("answer_broken_off", client=connection.peer)
        connection.abort()
        raise Hangup from None
