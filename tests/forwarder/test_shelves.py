"""Who carries what: couriers by route, as many as may work, and none that stands in another's place."""

import asyncio

from services.forwarder.load import Job
from services.forwarder.relay import Envelope, Route
from services.forwarder.shelves import Shelves
from tests.kit.letters import NOW

ANN, BOB = (Route("main.test", 25, name, "secret", "none") for name in ("ann", "bob"))


def a_job(route: Route) -> Job:
    return Job(
        letter_id="letter",
        address="ann@example.test",
        arming=1,
        token="token",
        by="forwarder",
        armed_at=NOW,
        attempts=1,
        refused_at=None,
        route=route,
        envelope=Envelope("", "ann@main.test", b""),
        partition=0,
    )


class _Couriers:
    """Notes for which routes couriers were sent."""

    def __init__(self, most: int, on_probation: frozenset[Route] = frozenset()) -> None:
        self.sent: list[Route] = []
        self.most = most
        self.shelves = Shelves(lambda: self.most, self.sent.append, on_probation.__contains__)


def test_as_many_couriers_are_sent_as_there_are_letters_and_may_work() -> None:
    couriers = _Couriers(3)
    for _ in range(5):
        couriers.shelves.put(a_job(ANN))
    assert couriers.sent == [ANN] * 3
    couriers.most = 10
    couriers.shelves.widen()
    assert len(couriers.sent) == 8


def test_a_route_on_probation_has_one_courier_and_only_for_a_letter() -> None:
    couriers = _Couriers(3, frozenset({ANN}))
    couriers.shelves.put(a_job(ANN))
    couriers.shelves.put(a_job(ANN))
    assert couriers.sent == [ANN]
    assert couriers.shelves.next(ANN)
    assert couriers.shelves.next(ANN)
    couriers.shelves.left(ANN)
    assert couriers.sent == [ANN], "nothing is there to carry"


async def test_a_courier_that_waits_gives_its_place_to_another_route() -> None:
    couriers = _Couriers(1)
    couriers.shelves.put(a_job(ANN))
    assert couriers.shelves.next(ANN)
    waiting = asyncio.ensure_future(couriers.shelves.wait(ANN, 60))
    await asyncio.sleep(0)
    couriers.shelves.put(a_job(BOB))
    assert await waiting is None
    couriers.shelves.left(ANN)
    assert couriers.sent == [ANN, BOB]
