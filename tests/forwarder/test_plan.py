"""The plan: what events brought and have not taken back, bounded."""

from services.forwarder.plan import LOW, MOST_FRESH, Plan, Planned

HERE, THERE = "here:25", "there:25"


def _letter(name: str, partition: int = 0, size: int = 10) -> Planned:
    return Planned(name, partition, size)


def test_letters_are_taken_oldest_first_and_leave_the_plan() -> None:
    plan = Plan(10)
    for name in "abc":
        assert plan.add(HERE, _letter(name))
    assert [letter.letter_id for letter in plan.take(HERE, 2, 1000)] == ["a", "b"]
    assert len(plan) == 1


def test_a_letter_is_planned_once() -> None:
    plan = Plan(10)
    assert plan.add(HERE, _letter("a"))
    assert not plan.add(HERE, _letter("a"))
    assert len(plan) == 1


def test_a_full_plan_takes_no_more() -> None:
    plan = Plan(2)
    assert plan.add(HERE, _letter("a"))
    assert plan.add(THERE, _letter("b"))
    assert not plan.add(HERE, _letter("c"))


def test_a_deleted_letter_is_dropped_and_may_be_dropped_twice() -> None:
    plan = Plan(10)
    plan.add(HERE, _letter("a"))
    plan.drop("a")
    plan.drop("a")
    assert not plan.waits_for(HERE)
    assert plan.take(HERE, 5, 1000) == []


def test_bytes_bound_a_claim_but_one_letter_always_goes() -> None:
    plan = Plan(10)
    for name in "abc":
        plan.add(HERE, _letter(name, size=600))
    assert len(plan.take(HERE, 10, 1000)) == 1
    assert len(plan.take(HERE, 10, 1)) == 1
    assert len(plan) == 1


def test_new_mail_and_what_has_waited_take_turns() -> None:
    plan = Plan(100)
    for number in range(20):
        plan.add(HERE, _letter(f"old-{number:02}"), waited=True)
        plan.add(HERE, _letter(f"new-{number:02}"))
    taken = [letter.letter_id for letter in plan.take(HERE, 10, 10**9)]
    assert sorted(taken) == [f"new-{n:02}" for n in range(5)] + [f"old-{n:02}" for n in range(5)]


def test_where_there_is_only_one_kind_it_has_all_the_room() -> None:
    plan = Plan(100)
    for number in range(20):
        plan.add(HERE, _letter(str(number)), waited=True)
    assert len(plan.take(HERE, 10, 10**9)) == 10


def test_a_destination_that_is_forgotten_leaves_room_for_others() -> None:
    plan = Plan(2)
    plan.add(HERE, _letter("a"))
    plan.add(HERE, _letter("b"), waited=True)
    plan.forget(HERE)
    assert len(plan) == 0
    assert plan.add(THERE, _letter("c"))
    assert plan.take(HERE, 5, 1000) == []


def test_one_destination_does_not_take_the_room_of_all() -> None:
    plan = Plan(3 * MOST_FRESH)
    taken = [plan.add(HERE, _letter(str(number))) for number in range(MOST_FRESH + 1)]
    assert taken[-1] is False
    assert plan.add(THERE, _letter("other"))


def test_when_little_that_has_waited_is_left_more_is_looked_for() -> None:
    low: list[str] = []
    plan = Plan(5000, low.append)
    for number in range(LOW + 5):
        plan.add(HERE, _letter(str(number)), waited=True)
    plan.take(HERE, 5, 10**9)
    assert low == []
    plan.take(HERE, 5, 10**9)
    assert low == [HERE]


def test_partitions_that_are_lost_take_their_letters_along() -> None:
    plan = Plan(10)
    plan.add(HERE, _letter("a", partition=1))
    plan.add(THERE, _letter("b", partition=2))
    plan.keep_only(frozenset({2}))
    assert list(plan.destinations()) == [THERE]
