"""Composition of the pruner: what runs beside what."""

import asyncio
import contextlib
from functools import partial

from services.pruner.bin import Bin
from services.pruner.remove import Remove, decode
from shared import ops, start
from shared.bus.consumer import Consumer
from shared.bus.producer import Producer
from shared.events import Forwarded
from shared.mailbox.bodies import Bodies
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable, connect
from shared.mailbox.own import OwnLetters
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.run import beside, run
from shared.settings import Pruner, load_or_exit


async def main(settings: Pruner, stop: asyncio.Event) -> None:
    """Run until `stop`."""
    database = connect(settings)
    clock, producer = Clock(database, settings), Producer(settings, "pruner")
    removal = Removal(database)
    remove = Remove(removal, producer, clock, settings.bin_forwarded_hours)
    consumer: Consumer[Forwarded] = Consumer(
        settings,
        producer,
        service="pruner",
        topics=["forwarded"],
        decode=decode,
        handle=remove.apply,
        passing=(MailboxUnavailable,),
    )
    own = OwnLetters(database, settings.partitions)
    emptying = Bin(removal, Bodies(database), own, Positions(database), clock, settings.expire_seconds)
    async with contextlib.AsyncExitStack() as parts:
        port = settings.pruner_ops_port
        await parts.enter_async_context(
            ops.serve(settings.ops_host, port, live=lambda: consumer.alive, ready=lambda: consumer.ready)
        )
        await producer.start()
        parts.push_async_callback(producer.stop)
        if await start.when_safe(settings, database, stop):
            await clock.read()
            await beside(stop, consumer.run(stop), emptying.run(stop), clock.keep(stop))


if __name__ == "__main__":
    loaded = load_or_exit(Pruner)
    run("pruner", loaded, partial(main, loaded))
