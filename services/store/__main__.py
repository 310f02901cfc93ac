"""Composition of the store: what runs beside what."""

import asyncio
import contextlib
from functools import partial

from services.store import doors
from services.store.intake import Intake, Receipt, decode
from services.store.refile import Refile
from services.store.restored import Restored
from services.store.trim import Trim
from services.store.web.app import build
from services.store.web.parts import opened
from shared import ops, start
from shared.announcer import Announcer
from shared.bus.consumer import Consumer
from shared.bus.producer import Producer
from shared.mailbox.bodies import Bodies
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable, connect
from shared.mailbox.destinations import Destinations
from shared.mailbox.folders import Folders
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.mailbox.users import Users
from shared.run import beside, run
from shared.settings import Store, load_or_exit


async def main(settings: Store, stop: asyncio.Event) -> None:
    """Run until `stop`."""
    database = connect(settings)
    clock, producer = Clock(database, settings), Producer(settings, "store")
    letters, positions, removal = Letters(database), Positions(database), Removal(database)
    announcer = Announcer(letters, Marks(database), producer, clock, sweeps=True)
    intake = Intake(Users(database), letters, Bodies(database), positions, producer, clock)
    restored = Restored(settings, positions, removal, Claims(database), Folders(database), clock)
    consumer: Consumer[Receipt] = Consumer(
        settings,
        producer,
        service="store",
        topics=["received"],
        decode=decode,
        handle=intake.take_in,
        passing=(MailboxUnavailable,),
        assigned=lambda partitions: restored.check(consumer, partitions),
    )
    trim = Trim(settings, positions, removal, clock)
    refile = Refile(Users(database), Destinations(database), clock)
    async with contextlib.AsyncExitStack() as parts:
        await parts.enter_async_context(
            ops.serve(
                settings.ops_host,
                settings.store_ops_port,
                live=lambda: consumer.alive,
                ready=lambda: consumer.ready,
            )
        )
        await producer.start()
        parts.push_async_callback(producer.stop)
        if not await start.when_safe(settings, database, stop):
            return
        await clock.read()
        api = await parts.enter_async_context(opened(settings, database, clock, announcer, stop))
        await parts.enter_async_context(ops.serve_http(build(api), settings.http_host, settings.http_port))
        open_doors = doors.opened(settings, database, clock, announcer, api)
        hearing = await parts.enter_async_context(open_doors)
        await beside(
            stop,
            consumer.run(stop),
            announcer.run(stop),
            trim.run(stop),
            refile.run(stop),
            clock.keep(stop),
            hearing.run(stop),
            api.logins.watch(stop),
        )


if __name__ == "__main__":
    loaded = load_or_exit(Store)
    run("store", loaded, partial(main, loaded))
