"""How many bytes of letters may be in flight: past it, clients are told to come again."""

# What a letter is reckoned at before it says its size, and the least by which a share grows.
STEP_BYTES = 64 * 1024


class Budget:
    """A total, and what is taken of it."""

    __slots__ = ("taken", "total")

    def __init__(self, total_bytes: int) -> None:
        self.total = total_bytes
        self.taken = 0

    def admit(self, declared_bytes: int) -> "Share | None":
        """A share for one letter of the size that it declared, or of the least where it declared none."""
        share = Share(self)
        return share if share.cover(declared_bytes or STEP_BYTES) else None


class Share:
    """One letter's part of the budget, from before DATA until the bus has let go of its bytes."""

    __slots__ = ("_budget", "granted")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.granted = 0

    def cover(self, size: int) -> bool:
        """Grow to `size`, in steps. False, and nothing has changed, where that is more than there is."""
        if size <= self.granted:
            return True
        wanted = -(-size // STEP_BYTES) * STEP_BYTES
        if self._budget.taken + wanted - self.granted > self._budget.total:
            return False
        self._budget.taken += wanted - self.granted
        self.granted = wanted
        return True

    def shrink(self, size: int) -> None:
        """Give back what is above `size`: a letter may declare more than it has."""
        spare = self.granted - size
        if spare > 0:
            self._budget.taken -= spare
            self.granted = size

    def release(self) -> None:
        """Give all of it back; once or more often is the same."""
        self.shrink(0)
