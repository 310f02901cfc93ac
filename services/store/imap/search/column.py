"""A number for each letter, and which letters lie below one. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from services.store.imap.search.bits import everything, set_of

# A column that is asked more often than this is put in order first.
_FEW = 8
# Between two sets that are held ready, letters are added one by one; each set is a bit for each letter.
_LEAST_STEP, _MOST_SETS = 64, 128


class Column:
    """Sizes, days or moments."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = values
        self._asked = 0

    def below(self, limit: float) -> int:
        """The letters whose number is less."""
        self._asked += 1
        if self._asked <= _FEW:
            return set_of([value < limit for value in self._values])
        return self._lowest(bisect_left(self._in_order, limit))

    def from_(self, limit: float) -> int:
        """The letters whose number is this or more."""
        return everything(len(self._values)) & ~self.below(limit)

    @cached_property
    def _order(self) -> list[int]:
        return sorted(range(len(self._values)), key=self._values.__getitem__)

    @cached_property
    def _in_order(self) -> list[float]:
        return [self._values[place] for place in self._order]

    @cached_property
    def _step(self) -> int:
        return max(_LEAST_STEP, len(self._values) // _MOST_SETS)

    @cached_property
    def _ready(self) -> list[int]:
        """The sets of the lowest letters: none, a step, two steps ..."""
        ready = [0]
        for start in range(0, len(self._order), self._step):
            ready.append(ready[-1] | self._set(self._order[start : start + self._step]))
        return ready

    def _lowest(self, count: int) -> int:
        steps = count // self._step
        return self._ready[steps] | self._set(self._order[steps * self._step : count])

    def _set(self, places: Sequence[int]) -> int:
        bits = bytearray(len(self._values) // 8 + 1)
        for place in places:
            bits[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(bits, "little")
