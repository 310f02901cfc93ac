"""Composition of the forwarder: what runs beside what."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from services.forwarder.backlog import Backlog
from services.forwarder.destination.board import Board
from services.forwarder.destination.keeper import Keeper
from services.forwarder.dispatch import Dispatch
from services.forwarder.follow import DatabasePutBack, Follow, Held, Told, decode
from services.forwarder.lane import Desk
from services.forwarder.lease import Lease, Watch
from services.forwarder.load import Loader
from services.forwarder.measure import Measure
from services.forwarder.notify import Notify
from services.forwarder.plan import Plan, Planned
from services.forwarder.reconcile import Reconcile
from services.forwarder.record import Record
from shared import ops, start
from shared.announcer import Announcer
from shared.bus.consumer import Consumer
from shared.bus.producer import Producer
from shared.destination import Destination
from shared.mailbox.bodies import Bodies
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database, MailboxUnavailable, connect
from shared.mailbox.destinations import Destinations
from shared.mailbox.forwarders import Forwarders
from shared.mailbox.health import HealthOfDestinations
from shared.mailbox.letters import Letters
from shared.mailbox.marks import Marks
from shared.mailbox.notices import Notices
from shared.mailbox.positions import Positions
from shared.mailbox.removal import Removal
from shared.mailbox.users import Users
from shared.run import beside, guarded, run
from shared.sealing import Seal
from shared.settings import Forwarder, load_or_exit, secret_key

SETTLE_SECONDS = 5.0


Part = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts that start and stop in a certain order, and those that simply run beside each other."""

    consumer: Consumer[Told]
    dispatch: Dispatch
    record: Record
    lease: Lease
    board: Board
    beside: list[Part]


def assemble(settings: Forwarder, database: Database, producer: Producer, clock: Clock) -> Assembly:
    """Put everything together; nothing runs yet. Raises SettingsError."""
    claims, users, destinations = Claims(database), Users(database), Destinations(database)
    forwarders, removal = Forwarders(database), Removal(database)
    announcer = Announcer(Letters(database), Marks(database), producer, clock)
    plan, held, partitions = Plan(settings.plan_letters), set[str](), Held()
    board = Board(settings, HealthOfDestinations(database), destinations, clock, lambda: partitions.partitions)
    lease = Lease(forwarders, settings.forwarder_lease_seconds)
    record = Record(claims, producer, announcer, clock, held)
    loader = Loader(users, Bodies(database), Seal(secret_key(settings)), settings.notice_relay)
    dispatch = Dispatch(Desk(settings, plan, claims, board, loader, lease, record, clock, held))
    follow = Follow(settings, Positions(database), plan, dispatch, board, partitions)
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
    backlog = Backlog(settings, destinations, users, plan, follow, dispatch, board, clock)
    if settings.notice_relay is not None:
        backlog.always = frozenset({settings.notice_relay.name})
    plan.when_low, lease.connections = backlog.low, dispatch.sessions
    follow.when_assigned = backlog.hurry_all
    board.turned = Turned(dispatch, backlog)

    def test(name: str, letter: Planned) -> None:
        plan.add(name, letter)
        dispatch.wake(name)

    keeper = Keeper(settings, board, destinations, announcer, clock, lambda name: name in backlog.names, test)
    parts: list[Part] = [consumer.run, backlog.run, watch.run, reconcile.run, measure.run, clock.keep, announcer.run]
    if settings.notice_relay is not None:
        bodies, notices, relay = Bodies(database), Notices(database), settings.notice_relay
        notify = Notify(settings, relay, notices, bodies, announcer, clock, lambda: follow.partitions)
        parts.append(notify.run)
    return Assembly(consumer, dispatch, record, lease, board, [*parts, board.run, keeper.run])


class Turned:
    """A destination has changed: what is under way hears of it first, then what waits is looked for."""

    def __init__(self, dispatch: Dispatch, backlog: Backlog) -> None:
        self._dispatch = dispatch
        self._backlog = backlog

    def __call__(self, before: Destination, after: Destination) -> None:
        self._dispatch.health_changed(before, after)
        if after.flows:
            self._backlog.hurry(after.name)


async def main(settings: Forwarder, stop: asyncio.Event) -> None:
    """Run until `stop`; then finish or give back what is held, within 30 s."""
    database = connect(settings)
    clock, producer = Clock(database, settings), Producer(settings, "forwarder")
    parts = assemble(settings, database, producer, clock)
    consumer = parts.consumer
    async with contextlib.AsyncExitStack() as opened:
        port = settings.forwarder_ops_port
        await opened.enter_async_context(
            ops.serve(settings.ops_host, port, live=lambda: consumer.alive, ready=lambda: consumer.ready)
        )
        await producer.start()
        opened.push_async_callback(producer.stop)
        if await start.when_safe(settings, database, stop):
            await clock.read()
            await parts.board.read()
            await parts.lease.register()
            await _work(parts, stop)


async def _work(parts: Assembly, stop: asyncio.Event) -> None:
    """Beats and records go on until what is held is finished."""
    finished = asyncio.Event()
    beating = asyncio.ensure_future(parts.lease.keep(finished, parts.dispatch.give_back_waiting))
    recording = asyncio.ensure_future(parts.record.run())
    try:
        running = [part(stop) for part in parts.beside]
        await beside(stop, *running, _stop_sending(parts, stop), guarded(beating, stop), guarded(recording, stop))
    finally:
        await parts.dispatch.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(parts.record.settled(), SETTLE_SECONDS)
        recording.cancel()
        finished.set()
        await asyncio.wait([beating])
        if not parts.dispatch.in_hand:
            await parts.lease.end()


async def _stop_sending(parts: Assembly, stop: asyncio.Event) -> None:
    """While we leave the group, not after it: those who get our partitions are to find what we give back at once."""
    await stop.wait()
    await parts.dispatch.stop()


if __name__ == "__main__":
    loaded = load_or_exit(Forwarder)
    run("forwarder", loaded, partial(main, loaded))
