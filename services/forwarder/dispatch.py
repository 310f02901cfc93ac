"""All lanes of this forwarder: made when something is planned for a destination, put away when nothing is left."""

import asyncio
import contextlib
from dataclasses import dataclass

from services.forwarder.courier import Courier
from services.forwarder.lane import Desk, Lane
from services.forwarder.relay import Route
from shared import logs
from shared.destination import Destination, Health, Signal

log = logs.get("dispatch")

# What a courier that has begun a letter gets to end it, once we are told to stop.
FINISH_SECONDS = 20.0


@dataclass(slots=True)
class _Open:
    lane: Lane
    task: asyncio.Task[None]


class Dispatch:
    """Opens a lane for each destination and runs its couriers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lanes: dict[str, _Open] = {}
        self._couriers: set[asyncio.Task[None]] = set()
        self._stopping = False

    def wake(self, destination: str) -> None:
        """Something is planned for `destination`."""
        if self._stopping:
            return
        opened = self._lanes.get(destination)
        if opened is None or opened.task.done():
            lane = Lane(destination, self._desk, self._start_courier)
            opened = self._lanes[destination] = _Open(lane, asyncio.ensure_future(lane.run()))
            opened.task.add_done_callback(_report)
        opened.lane.wake()

    def widen(self) -> None:
        """Partitions have come, and with them connections: without them couriers were sent home."""
        for opened in self._lanes.values():
            opened.lane.widen()

    def health_changed(self, before: Destination, after: Destination) -> None:
        """What the board has learned of a destination."""
        if not after.flows:
            # Found again when it can be sent; until then it would take the room of what can.
            self._desk.plan.forget(after.name)
        opened = self._lanes.get(after.name)
        if opened is not None:
            opened.lane.health_changed(before.health, after.health)

    def drained(self, destination: str) -> None:
        """Nothing that is due waits for it in the database; what is in hand ends by itself."""
        opened, board = self._lanes.get(destination), self._desk.board
        if opened is not None and not opened.lane.idle:
            return
        if opened is not None:
            opened.lane.drained()
        if board.of(destination).health is Health.RECOVERING and board.is_keeper(destination):
            board.signal(destination, Signal.FLOWING, "nothing is left to send")

    def give_back_waiting(self) -> None:
        """All that no courier has in hand, for our claims are not ours any more."""
        for opened in self._lanes.values():
            opened.lane.give_back_waiting()

    def put_away_idle(self) -> None:
        """Lanes cost little, but a thousand destinations come and go."""
        for name, opened in list(self._lanes.items()):
            if opened.lane.may_be_put_away:
                opened.task.cancel()
                del self._lanes[name]

    def sessions(self) -> dict[str, int]:
        """Open connections by destination."""
        return {name: opened.lane.sessions for name, opened in self._lanes.items() if opened.lane.sessions}

    @property
    def in_hand(self) -> int:
        """Letters claimed and not ended."""
        return sum(opened.lane.in_hand for opened in self._lanes.values())

    async def stop(self) -> None:
        """Claim no more, give back what is not begun, let couriers end what they have begun, for a while."""
        self._stopping = True
        # A claim under way is waited for: cut off, it would leave letters in flight until the lease is over.
        await asyncio.gather(*[opened.lane.stop() for opened in self._lanes.values()])
        for opened in self._lanes.values():
            opened.task.cancel()
        if self._couriers:
            _, late = await asyncio.wait(self._couriers, timeout=FINISH_SECONDS)
            for courier in late:
                # Its claim stays: nobody knows what the main server has. It is taken over after the lease.
                courier.cancel()
                log.warning("courier_left_behind")
            if late:
                await asyncio.wait(late, timeout=1)

    def _start_courier(self, lane: Lane, route: Route) -> None:
        courier = Courier(lane, route, self._desk.lease, self._desk.settings)
        task = asyncio.ensure_future(courier.run())
        self._couriers.add(task)
        task.add_done_callback(self._couriers.discard)
        task.add_done_callback(_report)


def _report(task: "asyncio.Task[None]") -> None:
    """A lane or courier that ends by an error is a fault of ours: it is said, and the next wake makes another."""
    with contextlib.suppress(asyncio.CancelledError):
        error = task.exception()
        if error is not None:
            log.error("task_failed", error=repr(error), exc_info=error)
