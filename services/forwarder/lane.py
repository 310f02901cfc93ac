"""The way to one destination: claims a little ahead of what is being sent, hands letters to couriers, and stands still
for a while when the destination does not answer.

The place where the health of destinations is to be asked: whether to claim, and how many couriers may go.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ulid import ULID

from services.forwarder import retry
from services.forwarder.lease import Lease
from services.forwarder.load import Job, Loaded, Loader
from services.forwarder.metrics import RECOVERY
from services.forwarder.outcome import Answer, decide
from services.forwarder.plan import Plan, Planned
from services.forwarder.record import Record
from services.forwarder.relay import Route
from shared import logs
from shared.failpoints import failpoint
from shared.mailbox.claims import Claims, Reply, Tried
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.letters import Letter
from shared.rate import Rate
from shared.settings import Forwarder

log = logs.get("lane")

# A claim takes about a second's work, and not more than this (design rule 9).
MOST_LETTERS = 500
MOST_BYTES = 32 * 1024 * 1024
GATHER_SECONDS = 0.03
GATHER_FROM_PER_SECOND = 50
# What a claim gets to end, once we are told to stop; a database that is away must not hold us.
CLAIM_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What every lane of this forwarder works with."""

    settings: Forwarder
    plan: Plan
    claims: Claims
    destinations: Destinations
    loader: Loader
    lease: Lease
    record: Record
    clock: Clock
    # Ids of all letters that this forwarder has claimed, is claiming, or has not yet written the outcome of.
    held: set[str]


@dataclass(slots=True)
class Shelf:
    """Jobs of one route, and the couriers that wait for one."""

    jobs: deque[Job] = field(default_factory=deque)
    waiting: deque[asyncio.Future[Job | None]] = field(default_factory=deque)
    couriers: int = 0


class Lane:
    """Claims for one destination and hands out jobs. `start_courier` is called where one more is of use."""

    def __init__(self, name: str, desk: Desk, start_courier: "Callable[[Lane, Route], None]") -> None:
        self.name = name
        self._desk = desk
        self._start_courier = start_courier
        self._shelves: dict[Route, Shelf] = {}
        self._wake = asyncio.Event()
        self._returns: set[asyncio.Task[None]] = set()
        self._held_until = 0.0
        # Until a session stood, one letter goes to see whether it does.
        self._proven = False
        self._failed = False
        self._back_at: float | None = None
        self._noted: tuple[bool, int] | None = None
        self._rate = Rate()
        self._stopping = False
        # Clear while a claim is under way: what it takes is in the plan no more and in no hand yet.
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self.in_hand = 0

    @property
    def idle(self) -> bool:
        busy = self.in_hand or self._desk.plan.waits_for(self.name) or self._returns
        return self._at_rest.is_set() and not busy

    @property
    def held(self) -> bool:
        """Whether it stands still because the destination did not answer."""
        return asyncio.get_running_loop().time() < self._held_until

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Claim as couriers need it, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.held:
                loop.call_at(self._held_until, self.wake)
                continue
            self._at_rest.clear()
            while self._wants_more():
                await self._gather()
                await self._claim()
            self._at_rest.set()
            if not self._desk.lease.fresh:
                loop.call_later(1, self.wake)

    async def _gather(self) -> None:
        """A little later there is more to claim in one round trip. Only while there is much to do and the plan holds
        less than a claim takes: a lone letter never waits."""
        if self._rate.per_second >= GATHER_FROM_PER_SECOND and self._desk.plan.count(self.name) < self._batch():
            await asyncio.sleep(GATHER_SECONDS)

    def _wants_more(self) -> bool:
        if self._stopping or self.held or not self._desk.lease.fresh or not self._desk.plan.waits_for(self.name):
            return False
        if not self._proven:
            return self.in_hand == 0
        return sum(len(shelf.jobs) for shelf in self._shelves.values()) < max(1, self._batch() // 2)

    def _batch(self) -> int:
        if not self._proven:
            return 1
        least = self._desk.settings.forwarder_connections
        return min(MOST_LETTERS, max(least, int(self._rate.per_second)))

    async def _claim(self) -> None:
        desk = self._desk
        planned = desk.plan.take(self.name, self._batch(), MOST_BYTES)
        if not planned:
            return
        ids = [letter.letter_id for letter in planned]
        token, by = str(ULID()), desk.lease.forwarder
        desk.held.update(ids)
        failpoint("forwarder.before_claim")
        try:
            await desk.claims.claim(ids, by, token, desk.clock.now())
        except MailboxUnavailable as error:
            log.warning("claim_unknown", destination=self.name, error=str(error))
            for letter in planned:
                desk.plan.add(self.name, letter)
        failpoint("forwarder.after_claim")
        await self._take_in(await self._won(ids, token), token, by)

    async def _won(self, ids: Sequence[str], token: str) -> list[Letter]:
        """What the claim really won is asked by its token, for as long as it takes: it must not stay held unseen."""
        while True:
            try:
                letters = await self._desk.claims.of_token(ids, token)
            except MailboxUnavailable:
                await asyncio.sleep(0.5)
            else:
                won = {letter["_id"] for letter in letters}
                self._desk.held.difference_update(set(ids) - won)
                for letter_id in won:
                    self._desk.plan.drop(letter_id)
                return letters

    async def _take_in(self, letters: Sequence[Letter], token: str, by: str) -> None:
        if not letters:
            return
        try:
            loaded = await self._desk.loader.load(letters, self.name, token, by)
        except MailboxUnavailable:
            self._give_back([letter["_id"] for letter in letters], token)
            return
        except Exception:
            # A fault of ours in reading one letter must not hold the batch: all wait, and their tries are counted.
            log.exception("load_failed", destination=self.name, letters=len(letters))
            for letter in letters:
                self._fail(letter, token, by, "internal error", "defer")
            return
        self._sort(loaded, token, by)

    def _sort(self, loaded: Loaded, token: str, by: str) -> None:
        for letter, destination in loaded.misfiled:
            self._give_back([letter["_id"]], token, destination)
        for letter, reason, parks in loaded.unsendable:
            self._fail(letter, token, by, reason, "park" if parks else "defer")
        self.in_hand += len(loaded.jobs)
        for job in loaded.jobs:
            self._hand_out(job)

    def _fail(self, letter: Letter, token: str, by: str, reason: str, end: str) -> None:
        now = self._desk.clock.now()
        due = retry.due(now, self._desk.settings.retry_seconds, random.random())  # noqa: S311  (spreads, hides nothing)
        arming = letter["forward"]["arming"]
        self._desk.record.add(Tried(letter["_id"], arming, token, end, Reply(0, reason), now, 0.0, due, by=by))

    def _hand_out(self, job: Job) -> None:
        shelf = self._shelves.setdefault(job.route, Shelf())
        while shelf.waiting:
            courier = shelf.waiting.popleft()
            if not courier.done():
                courier.set_result(job)
                return
        shelf.jobs.append(job)
        if self._couriers() < (self._desk.settings.forwarder_connections if self._proven else 1):
            shelf.couriers += 1
            self._start_courier(self, job.route)

    def _couriers(self) -> int:
        return sum(shelf.couriers for shelf in self._shelves.values())

    # What couriers call.

    async def next_job(self, route: Route, idle_seconds: float) -> Job | None:
        """The next letter for `route`; None when none came for `idle_seconds`, or other routes need the place."""
        shelf = self._shelves[route]
        if self._stopping:
            return None
        if shelf.jobs:
            job = shelf.jobs.popleft()
            self.wake()
            return job
        if any(other.jobs and not other.couriers for other in self._shelves.values()):
            return None
        self.wake()
        place: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        shelf.waiting.append(place)
        timer = asyncio.get_running_loop().call_later(idle_seconds, _let_go, place)
        try:
            return await place
        finally:
            timer.cancel()

    def courier_left(self, route: Route) -> None:
        shelf = self._shelves[route]
        shelf.couriers -= 1
        for waiting_route, other in list(self._shelves.items()):
            if other.jobs and not other.couriers:
                other.couriers += 1
                self._start_courier(self, waiting_route)
                return
        if not shelf.couriers and not shelf.jobs:
            del self._shelves[route]

    def stood(self, answer: Answer) -> None:
        """A session stood: the destination is there."""
        if not self._proven:
            self._proven = True
            if self._failed:
                self._failed, self._back_at = False, asyncio.get_running_loop().time()
                self._measure_recovery()
            self._widen()
        self._note(True, answer)

    def _widen(self) -> None:
        for route, shelf in list(self._shelves.items()):
            while shelf.jobs and shelf.couriers < len(shelf.jobs):
                if self._couriers() >= self._desk.settings.forwarder_connections:
                    break
                shelf.couriers += 1
                self._start_courier(self, route)
        self.wake()

    def failed(self, answer: Answer) -> None:
        """No session came about: give back what is not begun, and stand still for a while (design rule 9)."""
        self._proven = False
        self._failed = True
        self._held_until = asyncio.get_running_loop().time() + self._desk.settings.retry_seconds
        self.give_back_waiting()
        self._note(False, answer)
        self.wake()

    def tried(self, job: Job, answer: Answer, seconds: float) -> None:
        """The try of `job` has ended: its outcome is written down."""
        settings, now = self._desk.settings, self._desk.clock.now()
        age = (now - job.armed_at).total_seconds()
        outcome = decide(answer, age_seconds=age, lifetime_seconds=settings.lifetime_days * 86400)
        due = retry.due(now, settings.retry_seconds, random.random())  # noqa: S311  (spreads, hides nothing)
        reply = Reply(answer.code, answer.text)
        began = now - timedelta(seconds=seconds)
        self._desk.record.add(
            Tried(
                job.letter_id, job.arming, job.token, outcome.end, reply, began, seconds, due, outcome.unknown, job.by
            )
        )
        self.in_hand -= 1
        self._rate.count(1, asyncio.get_running_loop().time())
        self._measure_recovery()

    def _measure_recovery(self) -> None:
        """From the first answer after an outage to nothing waiting."""
        if self._back_at is not None and not self.in_hand and not self._desk.plan.waits_for(self.name):
            RECOVERY.labels(self.name).set(asyncio.get_running_loop().time() - self._back_at)
            self._back_at = None

    def give_back(self, job: Job) -> None:
        """`job` was not begun, or its letter was not sent."""
        self.in_hand -= 1
        self._give_back([job.letter_id], job.token)
        self._plan_again(job)

    # Giving back.

    def give_back_waiting(self) -> None:
        """All that no courier has in hand."""
        by_token: dict[str, list[str]] = {}
        for shelf in self._shelves.values():
            while shelf.jobs:
                job = shelf.jobs.popleft()
                self.in_hand -= 1
                self._plan_again(job)
                by_token.setdefault(job.token, []).append(job.letter_id)
        for token, ids in by_token.items():
            self._give_back(ids, token)

    def _plan_again(self, job: Job) -> None:
        """What is given back is due at once; a claim that comes before it is returned wins nothing and harms nobody,
        and a look at the backlog finds it again."""
        if not self._stopping:
            self._desk.plan.add(self.name, Planned(job.letter_id, job.partition, len(job.envelope.content)))

    def _give_back(self, ids: Sequence[str], token: str, destination: str | None = None) -> None:
        task = asyncio.ensure_future(self._return(ids, token, destination))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)

    async def _return(self, ids: Sequence[str], token: str, destination: str | None) -> None:
        while True:
            try:
                await self._desk.claims.give_back(ids, token, self._desk.clock.now(), destination=destination)
            except MailboxUnavailable:
                await asyncio.sleep(0.5)
            else:
                self._desk.held.difference_update(ids)
                return

    async def stop(self) -> None:
        """Claim no more, give back what is not begun, send couriers home; wait for what is returned."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_rest.wait(), CLAIM_SECONDS)
        self.give_back_waiting()
        for shelf in self._shelves.values():
            for place in shelf.waiting:
                _let_go(place)
        if self._returns:
            await asyncio.wait(self._returns)

    def _note(self, answers: bool, answer: Answer) -> None:
        """Write down what the destination was last heard to say, where that has changed."""
        if self._noted == (answers, answer.code):
            return
        self._noted = (answers, answer.code)
        task = asyncio.ensure_future(self._write_note(answers, answer))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)

    async def _write_note(self, answers: bool, answer: Answer) -> None:
        now = self._desk.clock.now()
        try:
            await self._desk.destinations.note(self.name, now, code=answer.code, text=answer.text, ok=answers)
        except MailboxUnavailable:
            self._noted = None


def _let_go(place: "asyncio.Future[Job | None]") -> None:
    if not place.done():
        place.set_result(None)
