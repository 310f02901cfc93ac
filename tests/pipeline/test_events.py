"""The events do the work, and where they are lost nothing else is. Small sisters of the campaign `events`."""

from tests.campaigns import events
from tests.pipeline.conftest import Run


async def test_letters_go_through_on_events_alone(run: Run) -> None:
    await events.events_alone(run, number=200)


async def test_deleted_letters_leave_the_plans_before_a_claim_looks_at_them(run: Run) -> None:
    await events.deletes_empty_plans(run, number=100)


async def test_only_the_pruner_takes_forwarded_copies_away(run: Run) -> None:
    await events.pruner_stopped(run, number=50)


async def test_lost_events_lose_nothing_and_repeat_nothing(run: Run) -> None:
    await events.events_lost(run, number=50)
