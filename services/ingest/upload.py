"""A letter on its way in: what is read of it, its share of the budget, and whether it keeps moving."""

from services.ingest.budget import Share
from services.ingest.data import Fault, LetterReader

# An upload's rate is an average over this long, so that a short stall does not end it.
RATE_SECONDS = 30.0


class Upload:
    """From DATA to the end of the letter."""

    __slots__ = ("_bytes", "_since", "letter", "share")

    def __init__(self, letter: LetterReader, share: Share, now: float) -> None:
        self.letter = letter
        self.share = share
        self._since = now
        self._bytes = 0

    def feed(self, block: bytes) -> bytes | None:
        """Take the next bytes; once the letter has ended, return those that came behind it."""
        self._bytes += len(block)
        rest = self.letter.feed(block)
        if not self.share.cover(self.letter.size):
            self.letter.refuse(Fault.OUT_OF_MEMORY)
        if self.letter.fault is not None:
            self.share.release()
        return rest

    def is_too_slow(self, now: float, *, minimum_rate_bytes: int, over_seconds: float) -> bool:
        """Whether less than the least rate came in the time now ended; before its end, False."""
        elapsed = now - self._since
        if elapsed < over_seconds:
            return False
        came, self._bytes = self._bytes, 0
        self._since = now
        return came < minimum_rate_bytes * elapsed
