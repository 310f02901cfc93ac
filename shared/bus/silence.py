"""Is the broker there? Told by what it owes, not by asking it: pure, handed the time."""


class Silence:
    """What is owed, acknowledged, failed and heard; all times are seconds of a monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._owed: dict[object, float] = {}
        self._acknowledged_at = float("-inf")
        self._failed_at = float("-inf")
        self._heard_at = float("-inf")

    def owe(self, record: object, now: float) -> None:
        """An answer to `record` is owed from now on."""
        self._owed[record] = now

    def acknowledge(self, record: object, now: float) -> None:
        self._owed.pop(record, None)
        self._acknowledged_at = now

    def fail(self, record: object, now: float) -> None:
        """No answer came in time, or none could come."""
        self._owed.pop(record, None)
        self._failed_at = now

    def forget(self, record: object) -> None:
        """Nothing is owed any more, and nothing is learned from it."""
        self._owed.pop(record, None)

    def hear(self, now: float) -> None:
        """The broker has answered a question of another kind."""
        self._heard_at = now

    def is_known(self, now: float) -> bool:
        """Whether the broker is known to be down: it owes an answer for a while in which it acknowledged nothing; or
        the last record failed, and nothing was heard since."""
        if self._owed:
            oldest = next(iter(self._owed.values()))
            if now - max(oldest, self._acknowledged_at) > self.seconds:
                return True
        return self._failed_at > max(self._acknowledged_at, self._heard_at)
