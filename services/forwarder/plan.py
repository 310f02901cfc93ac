"""What there is to do, by destination: what `stored` brought and `deleted` has not taken back, and what a look at the
backlog found. In memory only: the database has all of it, and what was dropped here is found there. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# New letters planned for one destination; more are found by a look at the backlog. It must not take the room of others.
MOST_FRESH = 10_000
# With fewer than this left of what a look has found, the next look is due.
LOW = 1000


@dataclass(frozen=True, slots=True)
class Planned:
    """A letter to be claimed."""

    letter_id: str
    partition: int
    size: int


@dataclass(slots=True)
class _Queues:
    """New mail and what has waited, each oldest first: they take turns, so that neither starves the other."""

    fresh: dict[str, Planned] = field(default_factory=dict)
    waited: dict[str, Planned] = field(default_factory=dict)


class Plan:
    """Letters to be claimed; bounded. `when_low` is told a destination of which little that has waited is left."""

    def __init__(self, most_letters: int, when_low: Callable[[str], None] = lambda _: None) -> None:
        self._most_letters = most_letters
        self._by_destination: dict[str, _Queues] = {}
        self._destination_of: dict[str, str] = {}
        self.when_low = when_low

    def __len__(self) -> int:
        return len(self._destination_of)

    def add(self, destination: str, letter: Planned, *, waited: bool = False) -> bool:
        """`waited`: found by a look, not told by an event. False: it is planned already, or there is no room."""
        if letter.letter_id in self._destination_of or len(self) >= self._most_letters:
            return False
        queues = self._by_destination.setdefault(destination, _Queues())
        if not waited and len(queues.fresh) >= MOST_FRESH:
            return False
        (queues.waited if waited else queues.fresh)[letter.letter_id] = letter
        self._destination_of[letter.letter_id] = destination
        return True

    def drop(self, letter_id: str) -> None:
        """The letter is not to be sent any more."""
        destination = self._destination_of.pop(letter_id, None)
        if destination is not None:
            self._remove(destination, letter_id)

    def forget(self, destination: str) -> None:
        """Nothing can be sent there now; what waits is found again when it can."""
        queues = self._by_destination.pop(destination, _Queues())
        for letter_id in (*queues.fresh, *queues.waited):
            del self._destination_of[letter_id]

    def keep_only(self, partitions: frozenset[int]) -> None:
        """Other partitions are somebody else's now."""
        strangers = [
            letter.letter_id
            for queues in self._by_destination.values()
            for letter in (*queues.fresh.values(), *queues.waited.values())
            if letter.partition not in partitions
        ]
        for letter_id in strangers:
            self.drop(letter_id)

    def take(self, destination: str, most_letters: int, most_bytes: int) -> list[Planned]:
        """The oldest planned letters, at least one if there is one, within both limits; they leave the plan. Of new
        mail and of what has waited half each, as far as there is of both."""
        queues = self._by_destination.get(destination)
        if queues is None:
            return []
        half = most_letters - most_letters // 2
        fresh = _first(queues.fresh, max(half, most_letters - len(queues.waited)))
        waited = _first(queues.waited, max(0, most_letters - len(fresh)))
        taken = _within(most_bytes, [*waited, *fresh])
        for letter in taken:
            self.drop(letter.letter_id)
        if len(queues.waited) < LOW:
            self.when_low(destination)
        return taken

    def waits_for(self, destination: str) -> bool:
        return destination in self._by_destination

    def count(self, destination: str) -> int:
        queues = self._by_destination.get(destination)
        return len(queues.fresh) + len(queues.waited) if queues else 0

    def count_waited(self, destination: str) -> int:
        queues = self._by_destination.get(destination)
        return len(queues.waited) if queues else 0

    def destinations(self) -> Iterable[str]:
        """Those that something is planned for."""
        return list(self._by_destination)

    def _remove(self, destination: str, letter_id: str) -> None:
        queues = self._by_destination[destination]
        queues.fresh.pop(letter_id, None)
        queues.waited.pop(letter_id, None)
        if not queues.fresh and not queues.waited:
            del self._by_destination[destination]


def _first(letters: dict[str, Planned], most: int) -> list[Planned]:
    return [letter for letter, _ in zip(letters.values(), range(most), strict=False)]


def _within(most_bytes: int, letters: list[Planned]) -> list[Planned]:
    size = 0
    for number, letter in enumerate(letters):
        size += letter.size
        if number and size > most_bytes:
            return letters[:number]
    return letters
