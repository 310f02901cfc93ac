"""The way to one destination: claims a little ahead of what is being sent, as far as its health allows, and hands
letters to couriers."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ulid import ULID

from services.forwarder import retry
from services.forwarder.destination.board import Board
from services.forwarder.lease import Lease
from services.forwarder.load import Job, Loaded, Loader
from services.forwarder.logins import Logins
from services.forwarder.metrics import RECOVERY
from services.forwarder.outcome import Answer, Meaning, Outcome, Patience, Tries, decide
from services.forwarder.plan import Plan, Planned
from services.forwarder.record import Record
from services.forwarder.relay import Route
from services.forwarder.shelves import Shelves
from shared import logs
from shared.destination import Health, Signal
from shared.failpoints import failpoint
from shared.mailbox.claims import Claims, Reply, Tried
from shared.mailbox.clock import Clock
from shared.mailbox.connect import MailboxUnavailable
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
# After a session that failed; the third in a row makes the destination down, and then probes ask.
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What every lane of this forwarder works with."""

    settings: Forwarder
    plan: Plan
    claims: Claims
    board: Board
    loader: Loader
    lease: Lease
    record: Record
    clock: Clock
    # Ids of all letters that this forwarder has claimed, is claiming, or has not yet written the outcome of.
    held: set[str]


class Lane:
    """Claims for one destination and hands out jobs. `start_courier` is called where one more is of use."""

    def __init__(self, name: str, desk: Desk, start_courier: "Callable[[Lane, Route], None]") -> None:
        settings = desk.settings
        self.name = name
        self._desk = desk
        self._logins = Logins(
            timedelta(seconds=settings.retry_seconds), timedelta(seconds=settings.breaker_test_seconds)
        )
        self._shelves = Shelves(
            self._most_couriers, lambda route: start_courier(self, route), self._logins.is_on_probation
        )
        self._patience = Patience(timedelta(days=settings.lifetime_days), timedelta(seconds=settings.believe_seconds))
        self._wake = asyncio.Event()
        self._returns: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0
        # Until a session stood, one letter goes to see whether it does.
        self._proven = False
        # Connections while the destination recovers: one, and for each letter taken one more.
        self._ramp = 1
        recovers = desk.board.of(name).health is Health.RECOVERING
        self._back_at = asyncio.get_running_loop().time() if recovers else None
        self._rate = Rate()
        self._stopping = False
        # Clear while a claim is under way: what it takes is in the plan no more and in no hand yet.
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self.in_hand = 0
        # Sessions open from here; couriers count them.
        self.sessions = 0

    @property
    def idle(self) -> bool:
        busy = self.in_hand or self._desk.plan.waits_for(self.name) or self._returns
        return self._at_rest.is_set() and not busy

    @property
    def may_be_put_away(self) -> bool:
        return self.idle and not self.sessions and not self._is_paused()

    def wake(self) -> None:
        self._wake.set()

    def widen(self) -> None:
        """More connections are ours than before. What is on the shelves already sends for nobody by itself."""
        self._shelves.widen()
        self.wake()

    def health_changed(self, was: Health, health: Health) -> None:
        """The destination's, as told by this forwarder or another."""
        if health is Health.RECOVERING:
            self._ramp, self._proven, self._paused_until = 1, False, 0.0
            self._back_at = asyncio.get_running_loop().time()
        elif health is Health.UP and was is Health.RECOVERING:
            self._paused_until = 0.0
            self._shelves.widen()
        elif health in (Health.DOWN, Health.SUSPENDED):
            self._back_at = None
            self.give_back_waiting()
        self.wake()

    async def run(self) -> None:
        """Claim as couriers need it, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._is_paused():
                loop.call_at(self._paused_until, self.wake)
                continue
            self._at_rest.clear()
            while self._wants_more():
                await self._gather()
                await self._claim()
            self._at_rest.set()
            if not self._desk.lease.fresh:
                loop.call_later(1, self.wake)

    def _is_paused(self) -> bool:
        return asyncio.get_running_loop().time() < self._paused_until

    async def _gather(self) -> None:
        """A little later there is more to claim in one round trip. Only while there is much to do and the plan holds
        less than a claim takes: a lone letter never waits."""
        if self._rate.per_second >= GATHER_FROM_PER_SECOND and self._desk.plan.count(self.name) < self._batch():
            await asyncio.sleep(GATHER_SECONDS)

    def _wants_more(self) -> bool:
        if self._stopping or self._is_paused() or not self._desk.lease.fresh:
            return False
        if not self._desk.plan.waits_for(self.name) or not self._connections():
            return False
        if self._goes_singly():
            return self.in_hand == 0
        return self._shelves.jobs < max(1, self._batch() // 2)

    def _connections(self) -> int:
        return self._desk.board.connections(self.name, self._ramp)

    def _goes_singly(self) -> bool:
        return not self._proven or self._desk.board.one_at_a_time(self.name, self._ramp)

    def _most_couriers(self) -> int:
        return min(1, self._connections()) if self._goes_singly() else self._connections()

    def _batch(self) -> int:
        if self._goes_singly():
            return 1
        return min(MOST_LETTERS, max(self._connections(), int(self._rate.per_second)))

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
        now = self._desk.clock.now()
        held_back: dict[datetime, list[str]] = {}
        for job in loaded.jobs:
            until = self._logins.held_until(job.route, now)
            if until is None:
                self.in_hand += 1
                self._shelves.put(job)
            else:
                held_back.setdefault(until, []).append(job.letter_id)
        for until, ids in held_back.items():
            self._give_back(ids, token, due=until)
        if not self._connections():
            # It went down while we claimed.
            self.give_back_waiting()

    def _fail(self, letter: Letter, token: str, by: str, reason: str, end: str) -> None:
        now, forward = self._desk.clock.now(), letter["forward"]
        due = self._retry_due(now, forward["attempts"])
        self._desk.record.add(
            Tried(letter["_id"], forward["arming"], token, end, Reply(0, reason), now, 0.0, due, by=by)
        )

    def _retry_due(self, now: datetime, attempts: int) -> datetime:
        return retry.due(now, self._desk.settings.retry_seconds, attempts, random.random())  # noqa: S311  (spreads)

    # What couriers call.

    async def next_job(self, route: Route, idle_seconds: float) -> Job | None:
        """The next letter for `route`; None when none came for `idle_seconds`, or the courier is not needed."""
        if self._stopping:
            return None
        job = self._shelves.next(route)
        self.wake()
        if job is not None or self._shelves.lets_go(route):
            return job
        return await self._shelves.wait(route, idle_seconds)

    def courier_left(self, route: Route) -> None:
        self._shelves.left(route)
        self.wake()

    def tried(self, job: Job, answer: Answer, seconds: float) -> None:
        """The try of `job` has ended: its outcome is written down, and what it says of the destination is heard."""
        desk, now = self._desk, self._desk.clock.now()
        tries = Tries(job.armed_at, job.refused_at, desk.board.taken_at(self.name))
        outcome = decide(answer, tries, self._patience, now)
        login = self._hear_of_login(job, answer, now)
        due = None if answer.is_taken else self._due_after(job, answer, outcome, now, login)
        desk.record.add(
            Tried(
                letter_id=job.letter_id,
                arming=job.arming,
                token=job.token,
                end=outcome.end,
                reply=Reply(answer.code, answer.text),
                began_at=now - timedelta(seconds=seconds),
                seconds=seconds,
                due=due,
                unknown=outcome.unknown,
                by=job.by,
                refused=outcome.refused,
            )
        )
        self.in_hand -= 1
        self._rate.count(1, asyncio.get_running_loop().time())
        desk.board.hear(self.name, answer, job.address, self.sessions)
        self._go_on(answer)
        self._measure_recovery()

    def _due_after(self, job: Job, answer: Answer, outcome: Outcome, now: datetime, login: datetime | None) -> datetime:
        return retry.due_by(
            outcome.clock,
            now,
            retry=self._retry_due(now, job.attempts),
            # Due at once, when the destination lets it: in its old place, unless the letter may be what broke the line.
            destination=job.armed_at if answer.session_failed else now,
            refused_at=job.refused_at,
            belief=self._patience.belief,
            login=login or now,
        )

    def _hear_of_login(self, job: Job, answer: Answer, now: datetime) -> datetime | None:
        """Until when its login is held back, if this is what was refused."""
        if answer.blames_login:
            until = self._logins.refused(job.route, answer, now)
            by_token: dict[str, list[str]] = {}
            for other in self._shelves.clear_route(job.route):
                self.in_hand -= 1
                by_token.setdefault(other.token, []).append(other.letter_id)
            for token, ids in by_token.items():
                self._give_back(ids, token, due=until)
            return until
        if answer.is_taken:
            self._logins.worked(job.route)
        return None

    def _go_on(self, answer: Answer) -> None:
        """How many may go next."""
        health = self._desk.board.of(self.name).health
        meaning = answer.meaning
        if meaning is Meaning.TAKEN:
            self._prove()
            if health is Health.RECOVERING:
                self._ramp_up()
        elif meaning in (Meaning.FAILED, Meaning.BUSY) and not self.sessions:
            self._proven = False
            self._pause(PAUSE_SECONDS)
            self.give_back_waiting()
        elif health is Health.FAILING:
            self._pause(self._desk.settings.probe_seconds)
        elif not answer.session_failed:
            self._prove()
        self.wake()

    def _prove(self) -> None:
        if not self._proven:
            self._proven = True
            self._shelves.widen()

    def _ramp_up(self) -> None:
        self._ramp += 1
        self._shelves.widen()
        if self._ramp >= self._desk.board.full_ramp():
            self._desk.board.signal(self.name, Signal.FLOWING, "it takes letters on all connections")

    def _pause(self, seconds: float) -> None:
        self._paused_until = asyncio.get_running_loop().time() + seconds * random.uniform(0.9, 1.1)  # noqa: S311

    def _measure_recovery(self) -> None:
        """From the first answer after an outage to nothing waiting."""
        if self._back_at is not None and not self.in_hand and not self._desk.plan.waits_for(self.name):
            RECOVERY.labels(self.name).set(asyncio.get_running_loop().time() - self._back_at)

    def drained(self) -> None:
        """Nothing waits in the database any more."""
        if self.idle:
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
        for job in self._shelves.clear():
            self.in_hand -= 1
            self._plan_again(job)
            by_token.setdefault(job.token, []).append(job.letter_id)
        for token, ids in by_token.items():
            self._give_back(ids, token)

    def _plan_again(self, job: Job) -> None:
        """What is given back is due at once; a claim that comes before it is returned wins nothing and harms nobody,
        and a look at the backlog finds it again."""
        if not self._stopping and self._desk.board.of(self.name).flows:
            planned = Planned(job.letter_id, job.partition, len(job.envelope.content))
            self._desk.plan.add(self.name, planned, waited=True)

    def _give_back(
        self, ids: Sequence[str], token: str, destination: str | None = None, due: datetime | None = None
    ) -> None:
        task = asyncio.ensure_future(self._return(ids, token, destination, due))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)

    async def _return(self, ids: Sequence[str], token: str, destination: str | None, due: datetime | None) -> None:
        while True:
            try:
                await self._desk.claims.give_back(ids, token, due, destination=destination)
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
        self._shelves.send_home()
        if self._returns:
            await asyncio.wait(self._returns)
