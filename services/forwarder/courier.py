"""A courier: one task, one session at a time, one letter after another."""

import time

from services.forwarder.lane import Lane
from services.forwarder.lease import Lease
from services.forwarder.load import Job
from services.forwarder.outcome import Answer
from services.forwarder.relay import LeaseStale, MaySend, Route, Session, SessionFailed
from shared import logs
from shared.settings import Forwarder

log = logs.get("courier")


class Courier:
    """Carries letters of one route for a lane until there are none for a while."""

    def __init__(self, lane: Lane, route: Route, lease: Lease, settings: Forwarder) -> None:
        self._lane = lane
        self._route = route
        self._lease = lease
        self._settings = settings
        self._session: Session | None = None

    async def run(self) -> None:
        try:
            while (job := await self._lane.next_job(self._route, self._settings.idle_connection_seconds)) is not None:
                await self._carry(job)
        finally:
            self._lane.courier_left(self._route)
            session = self._forget_session()
            if session is not None:
                await session.quit()

    async def _carry(self, job: Job) -> None:
        began = time.monotonic()
        try:
            answer = await self._send(job)
        except LeaseStale:
            self._lane.give_back(job)
            return
        except Exception:
            # A fault of ours must not hold the claim for ever; what the main server has of it is not known.
            log.exception("courier_failed", letter_id=job.letter_id)
            self._drop_session()
            answer = Answer("dot", 0, "internal error", dot_sent=True)
        if self._session is not None and not self._session.usable:
            # Not counted as a session that works when this answer is weighed.
            self._drop_session()
        self._lane.tried(job, answer, time.monotonic() - began)

    async def _send(self, job: Job) -> Answer:
        """Raises LeaseStale."""

        def may_send() -> bool:
            # Not only fresh: fresh under the registration that this letter was claimed with (design rule 5).
            return self._lease.fresh and self._lease.forwarder == job.by

        if not may_send():
            raise LeaseStale
        await self._leave_worn_session()
        reused = self._session is not None
        try:
            answer = await self._on_session(job, may_send)
            if reused and answer.stage == "mail" and answer.code in (0, 421):
                # The server had closed a connection that was idle: no fault of the letter's or of the server's.
                self._drop_session()
                answer = await self._on_session(job, may_send)
        except SessionFailed as failure:
            return failure.answer
        return answer

    async def _on_session(self, job: Job, may_send: MaySend) -> Answer:
        if self._session is None:
            self._session = await Session.open(self._route, self._settings)
            self._lane.sessions += 1
        return await self._session.send(job.envelope, may_send)

    async def _leave_worn_session(self) -> None:
        session = self._session
        if session is None:
            return
        if not session.usable:
            self._drop_session()
        elif session.letters_sent >= self._settings.letters_per_connection:
            self._forget_session()
            await session.quit()

    def _drop_session(self) -> None:
        session = self._forget_session()
        if session is not None:
            session.close()

    def _forget_session(self) -> Session | None:
        session, self._session = self._session, None
        self._lane.sessions -= session is not None
        return session
