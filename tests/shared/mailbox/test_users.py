"""Who has a mailbox here, and how a change reaches those who follow."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from shared.letter import Mode
from shared.mailbox.users import Target, User, UserExists, Users
from tests.kit.letters import NOW, Room

ANN = User(
    address="ann@example.test",
    mode=Mode.STORE_AND_FORWARD,
    created_at=NOW,
    target_address="ann@main.test",
    target=Target("main.test:25", "main.test", 25, "name", b"sealed"),
)
BOB = User(address="bob@example.test", mode=Mode.STORE_ONLY, created_at=NOW)


@pytest.fixture
def users(room: Room) -> Users:
    return Users(room.database)


async def test_a_user_comes_back_as_he_was(users: Users) -> None:
    await users.add(ANN)
    await users.add(BOB)
    assert await users.get(ANN.address) == ANN
    assert await users.by_address([ANN.address, BOB.address, "nobody"]) == {ANN.address: ANN, BOB.address: BOB}
    assert [user.address for user in await users.page("", 1)] == [ANN.address]
    assert await users.page(ANN.address, 5) == [BOB]


async def test_an_address_is_taken_once(users: Users) -> None:
    await users.add(ANN)
    with pytest.raises(UserExists):
        await users.add(replace(ANN, mode=Mode.STORE_ONLY))


async def test_a_change_loses_against_one_that_came_first(users: Users) -> None:
    await users.add(ANN)
    assert await users.replace(ANN, replace(ANN, enabled=False))
    assert not await users.replace(ANN, replace(ANN, tls="required"))


async def test_a_user_of_an_earlier_version_has_his_client_passed_on_to_nobody_and_can_be_changed(
    users: Users, room: Room
) -> None:
    await users.add(ANN)
    await room.database["users"].update_one({"_id": ANN.address}, {"$unset": {"pass_client": ""}})
    assert await users.get(ANN.address) == ANN
    told = replace(ANN, pass_client="xclient")
    assert await users.replace(ANN, told)
    assert not await users.replace(ANN, replace(ANN, tls="required"))
    assert await users.get(ANN.address) == told


async def test_disabled_and_leaving_users_take_no_mail(users: Users) -> None:
    await users.add(ANN)
    await users.add(replace(BOB, enabled=False))
    await users.add(replace(BOB, address="leaver@example.test", leaving=True))
    assert await users.accepting([ANN.address, BOB.address, "leaver@example.test"]) == {ANN.address}
    assert await users.all_accepting() == [ANN.address]


async def test_destinations_are_those_of_users(users: Users) -> None:
    await users.add(ANN)
    await users.add(BOB)
    assert await users.destinations() == ["main.test:25"]


async def test_a_follower_hears_of_every_change_once_the_stream_stands(users: Users) -> None:
    changes = users.changes()
    assert isinstance(changes, AsyncGenerator)
    assert await anext(changes) == ("", False)
    await users.add(ANN)
    assert await asyncio.wait_for(anext(changes), 10) == (ANN.address, True)
    await users.replace(ANN, replace(ANN, enabled=False))
    assert await asyncio.wait_for(anext(changes), 10) == (ANN.address, False)
    await users.remove(ANN.address)
    assert await asyncio.wait_for(anext(changes), 10) == (ANN.address, False)
    await changes.aclose()
