"""The doors for mail programs, opened and closed in one place."""

import contextlib
from collections.abc import AsyncIterator

from services.store.door.admission import Admission
from services.store.door.listener import Door
from services.store.folders.cabinet import Cabinet
from services.store.folders.hearing import Hearing
from services.store.imap import door as imap
from services.store.imap.incoming import Budget
from services.store.imap.session import Imap
from services.store.pop3 import session as pop3
from services.store.renderings import Renderings
from services.store.web.parts import Parts
from shared.announcer import Announcer
from shared.certificate import certificate
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.users import Users
from shared.settings import Store


@contextlib.asynccontextmanager
async def opened(
    settings: Store, database: Database, clock: Clock, announcer: Announcer, parts: Parts
) -> AsyncIterator[Hearing]:
    """IMAP and POP3, for the length of a block; what is returned has to run beside them.

    Raises:
        SettingsError: a port or the certificate cannot be used.
    """
    cabinet = Cabinet(database, clock, settings, announcer, parts.mailbox)
    admission, chain = Admission(settings), certificate(settings)
    async with contextlib.AsyncExitStack() as stack:
        renderings = await stack.enter_async_context(Renderings(database, settings))
        serving = imap.serving(
            Imap(
                settings=settings,
                cabinet=cabinet,
                logins=parts.logins,
                renderings=renderings,
                clock=clock,
                budget=Budget(),
            )
        )
        await stack.enter_async_context(
            Door(
                "imap",
                settings,
                serving,
                port=settings.imap_port,
                tls_port=settings.imaps_port,
                admission=admission,
                certificate=chain,
                too_many=imap.TOO_MANY,
            )
        )
        await stack.enter_async_context(
            Door(
                "pop3",
                settings,
                pop3.Pop3(cabinet, parts.logins, Users(database), settings).serve,
                port=settings.pop3_port,
                tls_port=settings.pop3s_port,
                admission=admission,
                certificate=chain,
                too_many=pop3.TOO_MANY,
            )
        )
        yield Hearing(settings, database, cabinet.views)
