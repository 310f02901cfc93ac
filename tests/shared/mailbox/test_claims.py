"""Claims and what ends them, against the real database. Numbers in names are the design's rules."""

from datetime import timedelta

import pytest

from shared.letter import UNKNOWN_RESULTS_TO_PARK, State
from shared.mailbox.claims import HISTORY
from tests.kit.letters import LATER, NOW, TARGET, Room, a_letter, tried


async def test_a_claim_takes_what_waits_and_counts_the_attempt(room: Room) -> None:
    names = await room.put(a_letter(), a_letter())
    await room.claims.claim(names, "forwarder", "token", NOW)
    won = await room.claims.of_token(names, "token")
    assert [letter["_id"] for letter in won] == sorted(names)
    assert [letter["forward"]["attempts"] for letter in won] == [1, 1]


async def test_of_two_claims_one_wins_each_letter(room: Room) -> None:
    names = await room.put(*(a_letter() for _ in range(50)))
    await room.claims.claim(names[:30], "one", "first", NOW)
    await room.claims.claim(names[20:], "two", "second", NOW)
    assert len(await room.claims.of_token(names, "first")) == 30
    assert len(await room.claims.of_token(names, "second")) == 20


async def test_a_deferred_letter_is_not_claimed_before_it_is_due(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "defer", code=450, due=LATER)
    await room.claims.claim([name], "forwarder", "early", LATER - timedelta(seconds=1))
    assert await room.claims.of_token([name], "early") == []
    await room.claims.claim([name], "forwarder", "on time", LATER)
    assert len(await room.claims.of_token([name], "on time")) == 1


@pytest.mark.parametrize("state", ["forwarded", "parked", "cancelled", "in_flight", "none"])
async def test_a_claim_takes_nothing_that_does_not_wait(room: Room, state: str) -> None:
    name = await _in_state(room, state)
    await room.claims.claim([name], "forwarder", "another", LATER)
    assert await room.claims.of_token([name], "another") == []
    assert await room.state(name) == state


async def _in_state(room: Room, state: str) -> str:
    if state == "none":
        return await room.put_new(destination=None, mode="store_only")
    name = await room.claimed()
    if state == "cancelled":
        await room.end(name, "defer", code=450)
        await room.delete(name)
    elif state != "in_flight":
        await room.end(name, {"forwarded": "deliver", "parked": "park", "deferred": "defer"}[state])
    return name


@pytest.mark.parametrize(
    ("end", "state"),
    [("deliver", State.FORWARDED), ("defer", State.DEFERRED), ("park", State.PARKED)],
)
async def test_a_claim_ends_as_the_table_says_and_is_written_down(room: Room, end: str, state: State) -> None:
    name = await room.claimed()
    await room.end(name, end, code=299, text="$forward.state")
    letter = await room.now(name)
    assert letter["forward"]["state"] == state
    assert letter["forward"]["last"]["text"] == "$forward.state", "the main server's text is text"
    assert letter["forward"]["history"][0]["text"] == "$forward.state"


@pytest.mark.parametrize(("end", "state"), [("defer", "cancelled"), ("park", "cancelled"), ("deliver", "forwarded")])
async def test_a_delete_in_flight_leaves_a_wish_that_all_but_a_250_fulfils(room: Room, end: str, state: str) -> None:
    name = await room.claimed()
    before = await room.delete(name)
    assert before is not None
    assert await room.state(name) == "in_flight"
    await room.end(name, end)
    assert await room.state(name) == state


async def test_a_wish_is_fulfilled_by_giving_back_and_by_taking_over(room: Room) -> None:
    given, taken = await room.claimed(), await room.claimed(by="dead", token="other")
    await room.delete(given)
    await room.delete(taken)
    await room.claims.give_back([given], "token")
    assert await room.claims.take_over("dead", NOW, LATER) == 1
    assert await room.state(given) == await room.state(taken) == "cancelled"


async def test_7_a_250_is_recorded_whoever_holds_the_claim_now(room: Room) -> None:
    name = await room.claimed(by="slow", token="slow's")
    await room.claims.take_over("slow", NOW, NOW)
    await room.claims.claim([name], "taker", "taker's", NOW)
    delivered = await room.end(name, "deliver", token="slow's")
    assert [letter["_id"] for letter in delivered] == [name]
    assert await room.state(name) == "forwarded"


@pytest.mark.parametrize("end", ["defer", "park"])
async def test_7_any_other_outcome_is_recorded_only_by_the_holder(room: Room, end: str) -> None:
    name = await room.claimed(by="slow", token="slow's")
    await room.claims.take_over("slow", NOW, NOW)
    await room.claims.claim([name], "taker", "taker's", NOW)
    await room.end(name, end, token="slow's", code=550)
    letter = await room.now(name)
    assert letter["forward"]["state"] == "in_flight"
    assert letter["forward"]["claim"]["token"] == "taker's"


async def test_7_a_250_of_an_earlier_arming_is_not_recorded(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "park", code=550)
    await room.claims.rearm(name, TARGET, NOW)
    assert await room.end(name, "deliver", arming=1) == []
    assert await room.state(name) == "pending"


async def test_7_what_a_repeated_record_changed_is_read_back(room: Room) -> None:
    name = await room.claimed()
    first = await room.end(name, "deliver")
    again = await room.end(name, "deliver")
    assert [letter["_id"] for letter in first] == [letter["_id"] for letter in again] == [name]
    assert len((await room.now(name))["forward"]["history"]) == 1, "a 250 is written down once"


async def test_a_250_after_a_cancelled_take_over_is_true_all_the_same(room: Room) -> None:
    name = await room.claimed(by="slow", token="slow's")
    await room.delete(name)
    await room.claims.take_over("slow", NOW, NOW)
    assert await room.state(name) == "cancelled"
    await room.end(name, "deliver", token="slow's")
    assert await room.state(name) == "forwarded"


async def test_8_an_unknown_result_is_deferred_and_marked(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "defer", code=0, unknown=True)
    letter = await room.now(name)
    assert (letter["forward"]["state"], letter["forward"]["unknown"]) == ("deferred", 1)


async def test_8_five_unknown_results_in_a_row_park(room: Room) -> None:
    name = await room.put_new()
    for number in range(1, UNKNOWN_RESULTS_TO_PARK + 1):
        await room.claims.claim([name], "forwarder", f"token {number}", NOW)
        await room.end(name, "defer", token=f"token {number}", code=0, unknown=True, due=NOW)
        assert await room.state(name) == ("parked" if number == UNKNOWN_RESULTS_TO_PARK else "deferred")
    assert [mark["kind"] for mark in (await room.now(name))["unannounced"]] == ["forwarded"]


async def test_8_a_known_result_between_breaks_the_row(room: Room) -> None:
    name = await room.put_new()
    for number in range(1, 8):
        await room.claims.claim([name], "forwarder", f"token {number}", NOW)
        await room.end(name, "defer", token=f"token {number}", code=0, unknown=number != 4, due=NOW)
    assert await room.state(name) == "deferred"


async def test_8_taken_over_claims_are_of_unknown_result(room: Room) -> None:
    name = await room.claimed(by="dead")
    await room.claims.take_over("dead", NOW, LATER)
    forward = (await room.now(name))["forward"]
    assert (forward["state"], forward["unknown"], forward["due"]) == ("deferred", 1, LATER)
    assert len(forward["history"]) == 1


async def test_8_five_take_overs_park_the_letter_that_kills_its_forwarder(room: Room) -> None:
    name = await room.put_new()
    for number in range(UNKNOWN_RESULTS_TO_PARK):
        await room.claims.claim([name], f"victim {number}", f"token {number}", NOW)
        await room.claims.take_over(f"victim {number}", NOW, NOW)
    assert await room.state(name) == "parked"


async def test_9_giving_back_does_not_count_as_an_attempt(room: Room) -> None:
    fresh, tried_before = await room.put_new(), await room.claimed()
    await room.end(tried_before, "defer", code=450, due=NOW)
    await room.claims.claim([fresh, tried_before], "forwarder", "second", NOW)
    await room.claims.give_back([fresh, tried_before], "second")
    assert await room.state(fresh) == "pending"
    assert await room.state(tried_before) == "deferred"
    assert (await room.now(fresh))["forward"]["attempts"] == 0
    assert (await room.now(tried_before))["forward"]["attempts"] == 1


async def test_giving_back_with_another_token_changes_nothing(room: Room) -> None:
    name = await room.claimed()
    await room.claims.give_back([name], "another")
    assert await room.state(name) == "in_flight"


async def test_giving_back_may_name_the_destination_that_it_waits_for_now(room: Room) -> None:
    name = await room.claimed()
    await room.claims.give_back([name], "token", NOW, destination="other.example.test:25")
    assert (await room.now(name))["forward"]["destination"] == "other.example.test:25"


async def test_holders_are_those_with_old_claims(room: Room) -> None:
    await room.claimed(by="one", token="1")
    await room.claimed(by="two", token="2")
    assert sorted(await room.claims.holders(NOW)) == ["one", "two"]
    assert await room.claims.holders(NOW - timedelta(seconds=1)) == []


async def test_making_due_overrides_the_clock_and_is_told(room: Room) -> None:
    name = await room.claimed()
    await room.end(name, "defer", code=450, due=LATER)
    letter = await room.claims.make_due(name, NOW)
    assert letter is not None
    assert letter["forward"]["due"] == NOW
    assert [mark["kind"] for mark in letter["unannounced"]] == ["stored"]


@pytest.mark.parametrize("state", ["forwarded", "parked", "cancelled", "in_flight", "none"])
async def test_only_what_waits_is_made_due(room: Room, state: str) -> None:
    name = await _in_state(room, state)
    assert await room.claims.make_due(name, NOW) is None


async def test_rearming_a_parked_letter_is_a_new_arming_with_tries_counted_anew(room: Room) -> None:
    name = await _in_state(room, "parked")
    letter = await room.claims.rearm(name, TARGET, LATER)
    assert letter is not None
    forward = letter["forward"]
    assert (forward["state"], forward["arming"], forward["attempts"], forward["armed_at"]) == ("pending", 2, 0, LATER)


@pytest.mark.parametrize("state", ["forwarded", "cancelled", "in_flight", "none", "deferred"])
async def test_only_parked_letters_are_rearmed(room: Room, state: str) -> None:
    name = await _in_state(room, state)
    assert await room.claims.rearm(name, TARGET, NOW) is None


async def test_the_list_of_tries_is_bounded(room: Room) -> None:
    name = await room.put_new()
    for number in range(HISTORY + 5):
        await room.claims.claim([name], "forwarder", f"token {number}", NOW)
        await room.end(name, "defer", token=f"token {number}", code=450, due=NOW)
    forward = (await room.now(name))["forward"]
    assert (len(forward["history"]), forward["attempts"]) == (HISTORY, HISTORY + 5)


async def test_a_batch_of_outcomes_is_recorded_each_for_itself(room: Room) -> None:
    names = await room.put(*(a_letter() for _ in range(30)))
    await room.claims.claim(names, "forwarder", "token", NOW)
    ends = ["deliver", "defer", "park"] * 10
    delivered = await room.claims.record([tried(n, e) for n, e in zip(names, ends, strict=True)], NOW)
    assert sorted(letter["_id"] for letter in delivered) == sorted(names[::3])
    assert {await room.state(name) for name in names[1::3]} == {"deferred"}
    assert {await room.state(name) for name in names[2::3]} == {"parked"}


async def test_each_delivery_of_a_batch_keeps_its_own_reply_and_its_own_arming(room: Room) -> None:
    first = await room.claimed(token="first")
    again = await room.claimed(token="again")
    await room.end(again, "park", token="again", code=550)
    await room.claims.rearm(again, TARGET, NOW)
    await room.claims.claim([again], "forwarder", "again", LATER)
    replies = {first: "$queued as {first: 1}", again: "$$NOW"}
    tries = [tried(first, "deliver", token="first", text=replies[first])]
    tries.append(tried(again, "deliver", token="again", arming=2, text=replies[again]))
    delivered = await room.claims.record(tries, LATER)
    assert {letter["_id"]: letter["forward"]["last"]["text"] for letter in delivered} == replies
    assert {letter["_id"]: letter["forward"]["history"][-1]["text"] for letter in delivered} == replies
    assert [len((await room.now(name))["forward"]["history"]) for name in (first, again)] == [1, 2]
