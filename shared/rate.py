"""How much there is to do, as a rate: what decides whether waiting a little for a larger batch is worth it. Pure."""

OVER_SECONDS = 0.5


class Rate:
    """Things a second, measured over the last half second or since the last thing; handed the time."""

    def __init__(self) -> None:
        self._counted = 0
        self._since = 0.0
        self._last = 0.0
        self.per_second = 0.0

    def count(self, things: int, now: float) -> float:
        """Note so many at `now` (seconds of a monotonic clock); returns the rate."""
        if now - self._last >= OVER_SECONDS:
            # A pause: what was before it says nothing about now.
            self._counted, self._since = 0, self._last
        self._counted += things
        self._last = now
        passed = now - self._since
        if passed >= OVER_SECONDS:
            self.per_second = self._counted / passed
            self._counted, self._since = 0, now
        return self.per_second
