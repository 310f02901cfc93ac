"""What a forwarder makes of the answers that it sees."""

from functools import partial

from services.forwarder.destination.board import Board
from services.forwarder.outcome import Answer
from shared.destination import FAILURES_TO_DOWN, Health
from shared.mailbox.clock import Clock
from shared.mailbox.destinations import Destinations
from shared.mailbox.health import HealthOfDestinations
from shared.settings import Forwarder
from tests.kit.letters import Room
from tests.kit.patience import until

NAME = "127.0.0.1:25"
REFUSED = Answer("connect", 0, "cannot connect: Connection refused")


async def _is(board: Board, health: Health) -> bool:
    return board.of(NAME).health is health


async def test_the_failure_that_makes_it_failing_is_the_first_of_those_that_make_it_down(room: Room) -> None:
    database, settings = room.database, Forwarder()
    health, destinations = HealthOfDestinations(database), Destinations(database)
    board = Board(settings, health, destinations, Clock(database, settings), lambda: frozenset(range(12)))
    for _ in range(FAILURES_TO_DOWN - 1):
        board.hear(NAME, REFUSED, "ann@example.test", 0)
        await until(partial(_is, board, Health.FAILING))
    board.hear(NAME, REFUSED, "ann@example.test", 0)
    await until(partial(_is, board, Health.DOWN))
