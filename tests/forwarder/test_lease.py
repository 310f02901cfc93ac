"""The right to send, and when what another holds may be taken over (design rules 5, 6 and 9), with a short lease."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from services.forwarder.lease import Lease, Watch
from services.forwarder.reconcile import Reconcile
from shared.bus.producer import Producer
from shared.mailbox.claims import Claims
from shared.mailbox.clock import Clock
from shared.mailbox.connect import Database
from shared.mailbox.forwarders import Forwarders
from shared.mailbox.removal import Removal
from shared.ops import RECONCILED
from shared.settings import Forwarder
from tests.kit.letters import Room
from tests.kit.patience import until
from tests.kit.scope import Scope

LEASE_SECONDS = 1.2


def _lease(database: Database) -> Lease:
    return Lease(Forwarders(database), LEASE_SECONDS)


def _watch(room: Room, lease: Lease) -> Watch:
    clock = Clock(room.database, Forwarder())
    return Watch(lease, Forwarders(room.database), Claims(room.database), clock, LEASE_SECONDS, retry_seconds=1)


@contextlib.asynccontextmanager
async def _kept(lease: Lease, watch: Watch | None = None) -> AsyncIterator[asyncio.Event]:
    """The lease beaten, and the watch kept, while the block runs; yields what is set when the lease is lost."""
    stop, lost = asyncio.Event(), asyncio.Event()
    parts = [asyncio.ensure_future(lease.keep(stop, lost.set))]
    if watch is not None:
        parts.append(asyncio.ensure_future(watch.run(stop)))
    try:
        yield lost
    finally:
        stop.set()
        await asyncio.gather(*parts)


async def test_5_a_lease_is_fresh_while_it_is_beaten_and_stale_half_a_lease_after(room: Room) -> None:
    lease = _lease(room.database)
    seen = [lease.fresh]
    await lease.register()
    async with _kept(lease):
        await asyncio.sleep(LEASE_SECONDS)
        seen.append(lease.fresh)
    await asyncio.sleep(LEASE_SECONDS / 2 + 0.1)
    seen.append(lease.fresh)
    assert seen == [False, True, False]


async def test_6_what_a_dead_forwarder_holds_is_taken_over_after_a_whole_lease(room: Room) -> None:
    dead, living = _lease(room.database), _lease(room.database)
    await dead.register()
    await living.register()
    name = await room.claimed(by=dead.forwarder)
    began = time.monotonic()
    async with _kept(living, _watch(room, living)):
        await until(lambda: _is(room, name, "deferred"), within=10, pause=0.02)
    assert time.monotonic() - began >= LEASE_SECONDS
    document = await room.now(name)
    assert document["forward"]["unknown"] == 1
    assert [beat.forwarder for beat in await Forwarders(room.database).beats()] == [living.forwarder]


async def test_6_what_a_living_forwarder_holds_is_left_alone(room: Room) -> None:
    one, other = _lease(room.database), _lease(room.database)
    await one.register()
    await other.register()
    name = await room.claimed(by=one.forwarder)
    async with _kept(one), _kept(other, _watch(room, other)):
        await asyncio.sleep(LEASE_SECONDS * 2.5)
        assert await room.state(name) == "in_flight"


async def test_6_a_claim_of_nobody_is_taken_over_too(room: Room) -> None:
    living = _lease(room.database)
    await living.register()
    name = await room.claimed(by="a forwarder that nobody knows")
    async with _kept(living, _watch(room, living)):
        await until(lambda: _is(room, name, "deferred"), within=10, pause=0.02)


async def test_a_forwarder_that_was_given_up_begins_anew_under_another_id(room: Room) -> None:
    lease = _lease(room.database)
    await lease.register()
    before = lease.forwarder
    async with _kept(lease) as lost:
        await Forwarders(room.database).unregister(before)
        await asyncio.wait_for(lost.wait(), 5)
        await until(lambda: _fresh_under_another_id(lease, before), within=5)


async def test_9_a_claim_of_ours_that_nobody_holds_is_given_back(room: Room, kafka_bootstrap: str) -> None:
    settings = Scope.new(kafka_bootstrap, "").settings(Forwarder)
    lease = _lease(room.database)
    await lease.register()
    stray = await room.claimed(by=lease.forwarder, token="late")
    ours = await room.claimed(by=lease.forwarder, token="ours")
    before = RECONCILED.labels("stray_claim")._value.get()
    producer, stop = Producer(settings, "test"), asyncio.Event()
    await producer.start()
    await until(lambda: _connected(producer), within=20)
    clock = Clock(room.database, settings)
    reconcile = Reconcile(Removal(room.database), room.claims, producer, clock, lease, {ours}, 0.2)
    running = asyncio.ensure_future(reconcile.run(stop))
    await until(lambda: _is(room, stray, "pending"), within=10)
    stop.set()
    await running
    await producer.stop()
    document = await room.now(stray)
    assert document["forward"]["attempts"] == 0, "nobody tried it"
    assert await room.state(ours) == "in_flight"
    assert RECONCILED.labels("stray_claim")._value.get() == before + 1


async def _is(room: Room, name: str, state: str) -> bool:
    return await room.state(name) == state


async def _fresh_under_another_id(lease: Lease, before: str) -> bool:
    return lease.fresh and lease.forwarder != before


async def _connected(producer: Producer) -> bool:
    return producer.connected
