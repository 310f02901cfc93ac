"""A letter's whole life, from the sender's 250 to the bin."""

from tests.kit.ledger import is_letter_behind_header
from tests.kit.sender import letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN = "ann@example.test"


async def test_a_letter_is_kept_forwarded_and_its_copy_taken_away(system: System) -> None:
    (sent,) = await system.send(letters(1, ANN))
    await system.main.has_taken(1)
    await system.settle()
    (taken,) = system.main.taken
    assert (taken.sender, taken.recipients) == ("sender@elsewhere.test", ("ann@main.test",))
    assert is_letter_behind_header(taken.raw, sent.letter.raw)
    assert await system.api.letters(ANN) == []
    await system.check()


async def test_a_thousand_letters_go_through_and_each_once(system: System) -> None:
    before = await _totals(system)
    await system.send(letters(1000, ANN), connections=20)
    await system.main.has_taken(1000)
    await system.settle()
    assert [now - then for now, then in zip(await _totals(system), before, strict=True)] == [1000, 1000, 1000]
    await system.check()


async def _totals(system: System) -> list[float]:
    return [
        await system.metric("ingest", "understudy_received_total"),
        await system.metric("store", "understudy_stored_total"),
        await system.metric("pruner", "understudy_deleted_total{reason=forwarded}"),
    ]


async def test_a_receipt_for_many_is_a_letter_for_each(system: System) -> None:
    addresses = [await system.add_user(f"user{n}@example.test") for n in range(10)]
    await system.send(letters(5, ANN, *addresses))
    await system.main.has_taken(55)
    await system.settle()
    await system.check()


async def test_a_lone_letter_does_not_wait_for_company(system: System) -> None:
    await system.send(letters(1, ANN))
    await system.main.has_taken(1)
    for number in range(5):
        (sent,) = await system.send(letters(1, ANN, start=number))
        await system.main.has_taken(number + 2, within=5)
        assert system.main.taken[-1].at - sent.at < 2, "seconds from the 250 to the main server"
    await system.settle()
    await system.check()


async def test_store_only_is_kept_and_forward_only_is_not_shown(system: System) -> None:
    await system.add_user("keeper@example.test", mode="store_only")
    await system.add_user("passer@example.test", mode="forward_only")
    await system.send(letters(3, "keeper@example.test", "passer@example.test"))
    await system.main.has_taken(3)
    await system.settle()
    assert len(await system.api.letters("keeper@example.test")) == 3
    assert await system.api.letters("passer@example.test") == []
    await system.check()


async def test_everything_stops_in_order_and_goes_on_after_a_start(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        for number, name in enumerate(("ingest", "store", "forwarder", "pruner")):
            await system.send(letters(50, ANN, start=50 * number))
            await system.restart(name)
        await system.main.has_taken(200)
        await system.settle()
        await system.check()
