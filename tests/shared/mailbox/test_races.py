"""Two who want the same letter at the same time. The long run of this is the campaign `races`."""

import asyncio
import random

from shared.mailbox.removal import answer_to_delete
from tests.kit.letters import EXPIRES, NOW, Room, a_letter

PAIRS = 200


async def test_of_delete_and_claim_exactly_one_wins_each_letter(room: Room) -> None:
    names = await room.put(*(a_letter() for _ in range(PAIRS)))
    claims = [room.claims.claim([name], "forwarder", name, NOW) for name in names]
    deletes = [room.delete(name) for name in names]
    attempts = [*claims, *deletes]
    random.Random(7).shuffle(attempts)
    await asyncio.gather(*attempts)
    outcomes = {name: await _outcome(room, name) for name in names}
    assert set(outcomes.values()) == {"cancelled", "in_flight"}, "the race was none"


async def _outcome(room: Room, name: str) -> str:
    """Cancelled and not claimed, or claimed with a wish left; nothing between."""
    letter = await room.now(name)
    won = await room.claims.of_token([name], name)
    was = {"forward": {**letter["forward"], "state": letter["binned"]["forward_was"]}}
    answer = answer_to_delete(was)
    assert (answer == "in_flight") == bool(won)
    assert letter["forward"]["state"] == answer
    assert letter["forward"].get("wish", False) == bool(won)
    return answer


async def test_of_two_deletes_one_wins(room: Room) -> None:
    names = await room.put(*(a_letter() for _ in range(50)))
    answers = await asyncio.gather(*(room.delete(name) for name in names * 2))
    assert sum(answer is not None for answer in answers) == 50
    assert {(await room.now(name))["removals"] for name in names} == {1}


async def test_of_delete_and_removal_of_the_copy_one_wins_and_the_mark_is_consumed(room: Room) -> None:
    letters = [a_letter() for _ in range(100)]
    names = await room.put(*letters)
    await room.claims.claim(names, "forwarder", "token", NOW)
    await asyncio.gather(*(room.end(name, "deliver") for name in names))
    await asyncio.gather(
        *(room.delete(name) for name in names),
        *(room.removal.remove_copies([name], NOW, EXPIRES) for name in names),
    )
    for name in names:
        letter = await room.now(name)
        assert letter["binned"]["reason"] in ("user", "forwarded")
        assert (letter["removals"], "copy_due" in letter) == (1, False)


async def test_2_of_purge_and_redelivery_no_order_raises_the_dead_or_loses_a_body(room: Room) -> None:
    letters = [a_letter() for _ in range(60)]
    names = await room.put(*letters)
    await asyncio.gather(*(room.delete(name) for name in names))
    await room.tell_marks()

    async def purge(name: str) -> None:
        await asyncio.sleep(random.random() * 0.02)
        gone = await room.removal.purge([{**letter_of[name]}], EXPIRES)
        await room.bodies.release(gone)
        await room.removal.released([n for ids in gone.values() for n in ids])

    async def take_in_again(name: str) -> None:
        letter = letter_of[name]
        await room.bodies.insert([(letter["receipt_id"], b"raw\n", [name])], origin={letter["receipt_id"]: (0, 0)})
        await asyncio.sleep(random.random() * 0.02)
        assert await room.letters.insert([letter]) == {name}
        released = {receipt: [gone] for gone, receipt in await room.letters.gone([name])}
        await room.bodies.release(released)

    letter_of = {letter["_id"]: letter for letter in letters}
    await asyncio.gather(*(purge(name) for name in names), *(take_in_again(name) for name in names))
    assert await room.database["bodies"].count_documents({}) == 0
    assert await room.database["letters"].count_documents({"gone": {"$exists": True}}) == len(names)
