"""What a search found. Pure."""

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """The letters found: their UIDs, and their numbers as the session has them, both rising; their mod-sequences where
    one was searched for (RFC 7162 section 3.1.5), else None."""

    uids: "array[int]"
    numbers: "array[int]"
    modseqs: "array[int] | None" = None

    @property
    def modseq(self) -> int | None:
        """The highest, where one is to be told."""
        return max(self.modseqs) if self.modseqs else None
