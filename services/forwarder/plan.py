"""What there is to do, by destination: what `stored` brought and `deleted` has not taken back. In memory only: the
database has all of it, and a look at the backlog finds what was dropped here. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """A letter to be claimed."""

    letter_id: str
    partition: int
    size: int


class Plan:
    """Letters to be claimed, oldest first for each destination; bounded."""

    def __init__(self, most_letters: int) -> None:
        self._most_letters = most_letters
        self._by_destination: dict[str, dict[str, Planned]] = {}
        self._destination_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._destination_of)

    def add(self, destination: str, letter: Planned) -> bool:
        """False: it is planned already, or the plan is full."""
        if letter.letter_id in self._destination_of or len(self) >= self._most_letters:
            return False
        self._by_destination.setdefault(destination, {})[letter.letter_id] = letter
        self._destination_of[letter.letter_id] = destination
        return True

    def drop(self, letter_id: str) -> None:
        """The letter is not to be sent any more."""
        destination = self._destination_of.pop(letter_id, None)
        if destination is not None:
            self._remove(destination, letter_id)

    def keep_only(self, partitions: frozenset[int]) -> None:
        """Other partitions are somebody else's now."""
        strangers = [
            letter.letter_id
            for letters in self._by_destination.values()
            for letter in letters.values()
            if letter.partition not in partitions
        ]
        for letter_id in strangers:
            self.drop(letter_id)

    def take(self, destination: str, most_letters: int, most_bytes: int) -> list[Planned]:
        """The oldest planned letters, at least one if there is one, within both limits; they leave the plan."""
        taken: list[Planned] = []
        size = 0
        for letter in self._by_destination.get(destination, {}).values():
            if len(taken) >= most_letters or (taken and size + letter.size > most_bytes):
                break
            taken.append(letter)
            size += letter.size
        for letter in taken:
            self.drop(letter.letter_id)
        return taken

    def waits_for(self, destination: str) -> bool:
        return destination in self._by_destination

    def count(self, destination: str) -> int:
        return len(self._by_destination.get(destination, ()))

    def destinations(self) -> Iterable[str]:
        """Those that something is planned for."""
        return list(self._by_destination)

    def _remove(self, destination: str, letter_id: str) -> None:
        letters = self._by_destination[destination]
        del letters[letter_id]
        if not letters:
            del self._by_destination[destination]
