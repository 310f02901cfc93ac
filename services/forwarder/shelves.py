"""Claimed letters that wait for a courier, by route: only letters of one login and policy can share a session."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services.forwarder.load import Job
from services.forwarder.relay import Route


@dataclass(slots=True)
class Shelf:
    """Jobs of one route, and the couriers that wait for one."""

    jobs: deque[Job] = field(default_factory=deque)
    waiting: deque[asyncio.Future[Job | None]] = field(default_factory=deque)
    couriers: int = 0


class Shelves:
    """The shelves of one destination. `most_couriers` is how many may work now, `start` begins one more for a route,
    `only_one` says of which routes one letter has to prove first that the login works."""

    def __init__(
        self, most_couriers: Callable[[], int], start: Callable[[Route], None], only_one: Callable[[Route], bool]
    ) -> None:
        self._by_route: dict[Route, Shelf] = {}
        self._most = most_couriers
        self._start = start
        self._only_one = only_one

    @property
    def jobs(self) -> int:
        return sum(len(shelf.jobs) for shelf in self._by_route.values())

    @property
    def couriers(self) -> int:
        return sum(shelf.couriers for shelf in self._by_route.values())

    def put(self, job: Job) -> None:
        """To a courier that waits, or on the shelf and a courier is sent for it, if one more may work."""
        shelf = self._by_route.setdefault(job.route, Shelf())
        while shelf.waiting:
            place = shelf.waiting.popleft()
            if not place.done():
                place.set_result(job)
                return
        shelf.jobs.append(job)
        if not self._send_couriers(job.route, shelf, 1) and not shelf.couriers:
            self._dismiss_one()

    def widen(self) -> None:
        """More couriers may work than before."""
        for route, shelf in list(self._by_route.items()):
            self._send_couriers(route, shelf, len(shelf.jobs))

    def _send_couriers(self, route: Route, shelf: Shelf, wanted: int) -> int:
        """Send up to `wanted`, as many as may work; returns how many."""
        if self._only_one(route):
            wanted = min(wanted, 1 - shelf.couriers)
        sent = max(0, min(wanted, len(shelf.jobs), self._most() - self.couriers))
        for _ in range(sent):
            shelf.couriers += 1
            self._start(route)
        return sent

    def _dismiss_one(self) -> None:
        """A courier that waits for letters of another route gives its place to one that has some."""
        for shelf in self._by_route.values():
            while shelf.waiting:
                place = shelf.waiting.popleft()
                if not place.done():
                    place.set_result(None)
                    return

    def next(self, route: Route) -> Job | None:
        """The next job for a courier of `route`. None: there is none, or one courier too many works."""
        shelf = self._by_route[route]
        return shelf.jobs.popleft() if shelf.jobs and not self._is_one_too_many(shelf) else None

    def lets_go(self, route: Route) -> bool:
        """Whether a courier of `route` should leave: too many work, or another route has none."""
        if self._is_one_too_many(self._by_route[route]):
            return True
        return any(other.jobs and not other.couriers for other in self._by_route.values())

    def _is_one_too_many(self, shelf: Shelf) -> bool:
        return self.couriers > max(1, self._most()) and shelf.couriers > 0

    async def wait(self, route: Route, idle_seconds: float) -> Job | None:
        """A job for `route` that comes within that time."""
        shelf, loop = self._by_route[route], asyncio.get_running_loop()
        place: asyncio.Future[Job | None] = loop.create_future()
        shelf.waiting.append(place)
        timer = loop.call_later(idle_seconds, _let_go, place)
        try:
            return await place
        finally:
            timer.cancel()

    def left(self, route: Route) -> None:
        """A courier of `route` has gone; another route may have its place."""
        shelf = self._by_route[route]
        shelf.couriers -= 1
        self.widen()
        if not shelf.couriers and not shelf.jobs:
            self._by_route.pop(route, None)

    def clear(self) -> Iterator[Job]:
        """Take everything off."""
        for shelf in self._by_route.values():
            while shelf.jobs:
                yield shelf.jobs.popleft()

    def clear_route(self, route: Route) -> Iterator[Job]:
        shelf = self._by_route.get(route)
        while shelf is not None and shelf.jobs:
            yield shelf.jobs.popleft()

    def send_home(self) -> None:
        """Couriers that wait need not wait any longer."""
        for shelf in self._by_route.values():
            for place in shelf.waiting:
                _let_go(place)


def _let_go(place: "asyncio.Future[Job | None]") -> None:
    if not place.done():
        place.set_result(None)
