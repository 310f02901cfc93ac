"""Logins that a destination refuses: STARTTLS, AUTH, or MAIL for want of them. One wrong password must not stop the
letters of others, so what is held back is that login's, and one letter tests it now and then."""

from datetime import datetime, timedelta

from services.forwarder.outcome import Answer
from services.forwarder.relay import Route


class Logins:
    """Which routes of one destination are held back, and until when."""

    def __init__(self, retry: timedelta, test: timedelta) -> None:
        self._retry = retry
        self._test = test
        self._held: dict[Route, datetime] = {}

    def refused(self, route: Route, answer: Answer, now: datetime) -> datetime:
        """Hold it back: for long where the refusal is meant to last; returns until when."""
        until = now + (self._test if answer.is_refusal else min(self._retry, self._test))
        self._held[route] = until
        return until

    def worked(self, route: Route) -> None:
        self._held.pop(route, None)

    def held_until(self, route: Route, now: datetime) -> datetime | None:
        """None: it may be tried."""
        until = self._held.get(route)
        return until if until is not None and until > now else None

    def is_on_probation(self, route: Route) -> bool:
        """It was refused when last tried."""
        return route in self._held
