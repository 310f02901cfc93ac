"""`stored` fills the plan, `deleted` empties it. Committed as soon as planned: nothing here waits for SMTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.forwarder.destination.board import Board
from services.forwarder.dispatch import Dispatch
from services.forwarder.plan import Plan, Planned
from shared.bus import broker
from shared.bus.consumer import Record
from shared.events import Deleted, Stored
from shared.mailbox.positions import Positions
from shared.settings import Forwarder

Told = tuple[int, Stored | Deleted]


def decode(record: Record) -> Told:
    """Raises EventError."""
    kind = Stored if record.topic == Stored.TOPIC else Deleted
    return record.partition, kind.from_json(record.value)


class DatabasePutBack(Exception):
    """The database is older than the topics, and the store is still laying down what they tell."""


@dataclass(slots=True)
class Held:
    """The partitions that this forwarder holds at this moment."""

    partitions: frozenset[int] = frozenset()


class Follow:
    """Turns events into plans."""

    def __init__(
        self, settings: Forwarder, positions: Positions, plan: Plan, dispatch: Dispatch, board: Board, held: Held
    ) -> None:
        self._settings = settings
        self._positions = positions
        self._plan = plan
        self._dispatch = dispatch
        self._board = board
        self._held = held
        # Called when partitions have come: what waits there is nobody's until it is looked for.
        self.when_assigned: Callable[[], None] = lambda: None

    @property
    def partitions(self) -> frozenset[int]:
        return self._held.partitions

    async def apply(self, told: Sequence[Told]) -> None:
        """Deletions after the rest: of a batch over two topics nobody knows the order, and a claim asks anyway."""
        destinations = set()
        for partition, event in told:
            if isinstance(event, Stored) and event.destination is not None and self._may_go(event):
                self._plan.add(event.destination, Planned(event.letter_id, partition, event.size))
                destinations.add(event.destination)
        for _, event in told:
            if isinstance(event, Deleted):
                self._plan.drop(event.letter_id)
        for destination in destinations:
            self._dispatch.wake(destination)

    def _may_go(self, event: Stored) -> bool:
        """What cannot be sent now is found in the backlog when it can; here it would take room from what can. To a
        destination that refuses everything a letter for somebody not refused yet is a welcome test."""
        destination = self._board.of(event.destination or "")
        return destination.flows or (destination.is_tested and event.address not in destination.refused)

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Raises DatabasePutBack: letters that wait there may be long forwarded or deleted (design rule 13).
        Raises MailboxUnavailable, BusUnavailable."""
        committed = await broker.committed(self._settings, service="store", topic="received")
        noted = await self._positions.noted()
        # Of any partition: the store lays down what is told of all before it goes on with those that are behind.
        behind = sorted(p for p, end in committed.items() if end > noted.get(p, (0,))[0])
        if behind:
            raise DatabasePutBack(f"partitions {behind}")
        self._held.partitions = partitions
        self._dispatch.widen()
        self.when_assigned()

    async def revoked(self, _: frozenset[int]) -> None:
        """All partitions go at once; those that come back bring their letters by a look at the backlog."""
        self._held.partitions = frozenset()
        self._plan.keep_only(self.partitions)
