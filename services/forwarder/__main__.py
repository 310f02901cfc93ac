"""Composition of the forwarder: what runs beside what."""

import asyncio
import contextlib
from functools import partial

from services.forwarder.backlog import Backlog
from services.forwarder.dispatch import Dispatch
from services.forwarder.follow import DatabasePutBack, Follow, Told, decode
from services.forwarder.lane import Desk
from services.forwarder.lease import Lease, Watch
from services.forwarder.load import Loader
from services.forwarder.measure import Measure
from services.forwarder.plan import Plan
from services.forwarder.reconcile import Reconcile
from services.forwarder.record import Record
from shared import ops, start
from shared.announcer import Announcer
from shared.bus.consumer import Consumer
from shared.bus.producer import Producer
from shared.mailbox.bodies import Bodies
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable, connect
from shared.mailbox.destinations import Destinations
from shared.mailbox.forwarders import Forwarders
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.mailbox.users import Users
from shared.run import beside, guarded, run
from shared.sealing import Seal
from shared.settings import Forwarder, load_or_exit, secret_key

SETTLE_SECONDS = 5.0


async def main(settings: Forwarder, stop: asyncio.Event) -> None:
    """Run until `stop`; then finish or give back what is held, within 30 s."""
    database = connect(settings)
    clock, producer = Clock(database, settings), Producer(settings, "forwarder")
    claims, users, destinations = Claims(database), Users(database), Destinations(database)
    forwarders, removal = Forwarders(database), Removal(database)
    announcer = Announcer(Letters(database), Marks(database), producer, clock)
    plan = Plan(settings.plan_letters)
    lease = Lease(forwarders, settings.forwarder_lease_seconds)
    held: set[str] = set()
    record = Record(claims, producer, announcer, clock, held)
    loader = Loader(users, Bodies(database), Seal(secret_key(settings)))
    dispatch = Dispatch(Desk(settings, plan, claims, destinations, loader, lease, record, clock, held))
    follow = Follow(settings, Positions(database), plan, dispatch)
    consumer: Consumer[Told] = Consumer(
        settings,
        producer,
        service="forwarder",
        topics=["stored", "deleted"],
        decode=decode,
        handle=follow.apply,
        passing=(MailboxUnavailable, DatabasePutBack),
        assigned=follow.assigned,
        revoked=follow.revoked,
    )
    watch = Watch(lease, forwarders, claims, clock, settings.forwarder_lease_seconds, settings.retry_seconds)
    reconcile = Reconcile(removal, claims, producer, clock, lease, held, settings.reconcile_seconds)
    measure = Measure(destinations, follow, plan, dispatch, clock)
    backlog = Backlog(settings, destinations, users, plan, follow, dispatch, clock)
    async with contextlib.AsyncExitStack() as parts:
        port = settings.forwarder_ops_port
        await parts.enter_async_context(
            ops.serve(settings.ops_host, port, live=lambda: consumer.alive, ready=lambda: consumer.ready)
        )
        await producer.start()
        parts.push_async_callback(producer.stop)
        if not await start.when_safe(settings, database, stop):
            return
        await clock.read()
        await lease.register()
        # Beats and records go on until what is held is finished.
        finished = asyncio.Event()
        beating = asyncio.ensure_future(lease.keep(finished, dispatch.give_back_waiting))
        recording = asyncio.ensure_future(record.run())
        try:
            await beside(
                stop,
                consumer.run(stop),
                backlog.run(stop),
                watch.run(stop),
                reconcile.run(stop),
                measure.run(stop),
                clock.keep(stop),
                announcer.run(stop),
                guarded(beating, stop),
                guarded(recording, stop),
            )
        finally:
            await dispatch.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(record.settled(), SETTLE_SECONDS)
            recording.cancel()
            finished.set()
            await asyncio.wait([beating])
            if not dispatch.in_hand:
                await lease.end()


if __name__ == "__main__":
    loaded = load_or_exit(Forwarder)
    run("forwarder", loaded, partial(main, loaded))
