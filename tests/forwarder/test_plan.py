"""The plan: what events brought and have not taken back, bounded."""

from services.forwarder.plan import Plan, Planned

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


def test_partitions_that_are_lost_take_their_letters_along() -> None:
    plan = Plan(10)
    plan.add(HERE, _letter("a", partition=1))
    plan.add(THERE, _letter("b", partition=2))
    plan.keep_only(frozenset({2}))
    assert list(plan.destinations()) == [THERE]
