"""Several stores, and letters whose user is gone."""

from pathlib import Path
from typing import Any

from shared.mailbox.users import POSTMASTER, Users
from tests.kit.api import Api
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN, BOB = "ann@example.test", "bob@example.test"


async def test_two_stores_share_the_intake_and_show_the_same(run: Run) -> None:
    async with run(main_is_away=True) as system:
        await system.add_user(ANN)
        await system.start("store-2")
        await system.send(letters(400, ANN), connections=4)
        await system.ledger.arrive(system.sender)
        async with Api(system.port("http-2"), _token(system.folder)) as other:
            shown = await other.letters(ANN)
            assert _ids(shown) == _ids(await system.api.letters(ANN))
            assert await other.delete(shown[0]["id"]) in ("cancelled", "in_flight")
            assert len(await system.api.letters(ANN)) == 399
        stored = [(await system.process(name).metrics())["understudy_stored_total"] for name in ("store", "store-2")]
        assert sum(stored) == 400
        assert min(stored) > 0, f"one did all: {stored}"
        await system.main.come_back()
        await system.settle()
        await system.check()


def _ids(shown: list[dict[str, Any]]) -> list[str]:
    return [letter["id"] for letter in shown]


def _token(folder: Path) -> str:
    return (folder / "token").read_text().strip()


async def test_a_store_that_stops_under_load_loses_nothing_and_repeats_nothing(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        await system.start("store-2")
        for number, name in enumerate(("store", "store-2")):
            await system.send(letters(100, ANN, start=100 * number))
            await system.restart(name)
        await system.main.has_taken(200)
        await system.settle()
        await system.check()


async def test_14_a_letter_whose_user_is_gone_goes_to_the_postmaster(run: Run) -> None:
    async with run() as system:
        await system.add_user(ANN)
        await system.add_user(BOB)
        await system.process("store").stop()
        await system.send(letters(5, BOB, ANN))
        assert await Users(system.scope.connect()).remove(BOB)
        await system.start("store")
        await system.main.has_taken(5)
        await system.settle()
        found = [d for d in (await system.ledger.documents()).values() if d["address"] == POSTMASTER]
        assert len(found) == 5
        assert {letter["forward"]["state"] for letter in found} == {"none"}
        for letter in found:
            assert (await system.api.letter(letter["_id"]))["address"] == POSTMASTER
        await system.check()


async def test_a_user_made_a_moment_ago_is_accepted_at_once(system: System) -> None:
    for number in range(10):
        address = await system.add_user(f"new{number}@example.test")
        await system.send(letters(1, address))
    await system.main.has_taken(10)
    await system.settle()
    await system.check()


async def test_a_leaving_users_letters_are_forwarded_and_then_he_is_gone(run: Run) -> None:
    async with run(main_is_away=True) as system:
        await system.add_user(ANN)
        await system.send(letters(10, ANN))
        await system.ledger.arrive(system.sender)
        assert (await system.api.ask("DELETE", f"/users/{ANN}")).status_code == 409
        assert (await system.api.ask("DELETE", f"/users/{ANN}", params={"letters": "forward"})).is_success
        (refused,) = await system.sender.send(letters(1, ANN))
        assert refused.code == 550
        await system.main.come_back()
        await system.main.has_taken(10)

        async def gone() -> bool:
            return (await system.api.ask("GET", f"/users/{ANN}")).status_code == 404

        await until(gone, what="the user's end")
        await system.settle()
        await system.check()
