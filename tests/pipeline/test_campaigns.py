"""The campaigns' small sisters: the same functions at about a hundredth of the size."""

import pytest

from tests.campaigns.corpus import letters_stay_the_same
from tests.campaigns.drain import waiting_is_sent_fast
from tests.campaigns.flat import waiting_costs_others_nothing
from tests.campaigns.large import large_letters_come_at_once
from tests.campaigns.ledger import SHORTENED, nothing_is_lost
from tests.campaigns.mailbox import a_mailbox_beside_dovecot
from tests.campaigns.opening import a_large_mailbox_is_opened, idle_hears_soon
from tests.campaigns.outages import server_is_away
from tests.campaigns.races import deletes_race_claims
from tests.campaigns.recovery import HOUR, mail_is_there_soon
from tests.campaigns.sideways import JOIN, LEAVE, members_come_and_go, more_forwarders_drain_more
from tests.campaigns.stage import Stage
from tests.campaigns.thousand import half_of_them_die
from tests.kit.servers import Servers
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN = "ann@example.test"


async def test_real_letters_stay_the_same_byte_for_byte(system: System) -> None:
    await letters_stay_the_same(system, every=60)


async def test_what_was_answered_cancelled_is_never_sent(run: Run) -> None:
    await deletes_race_claims(run, rounds=1, letters_each=60)


async def test_large_letters_at_once_are_taken_in_time(system: System) -> None:
    await large_letters_come_at_once(system, count=3, size_mib=20)


async def test_mail_is_at_the_main_server_seconds_after_it_is_back(run: Run) -> None:
    await mail_is_there_soon(run, number=100, outages=(0.0, 48 * HOUR))


async def test_half_of_the_main_servers_die_and_all_of_the_mail_arrives(run: Run) -> None:
    shortened = {f"{name}_seconds": 1 for name in ("connect", "command", "probe")}
    await half_of_them_die(run, destinations=40, each=2, pause_seconds=0.05, idle_seconds=0.2, **shortened)


async def test_forwarders_drain_what_waits_between_them(run: Run) -> None:
    await more_forwarders_drain_more(run, letters_each=60, sizes=(1, 2), is_promised=False)


async def test_forwarders_come_and_go_and_each_letter_is_sent_once(run: Run) -> None:
    await members_come_and_go(run, steps=((JOIN, (2,)), (LEAVE, (2,))), seconds_each=5, is_promised=False)


async def test_what_has_waited_is_sent_while_new_mail_comes(run: Run) -> None:
    await waiting_is_sent_fast(run, number=1000, new=200, is_promised=False)


async def test_what_waits_for_a_dead_server_does_not_keep_others_from_theirs(run: Run) -> None:
    await waiting_costs_others_nothing(run, number=1000, letters=100, rounds=1, is_promised=False)


async def test_nothing_is_lost_while_everything_dies(run_on_own: Run, own_servers: Servers) -> None:
    async with run_on_own(**SHORTENED) as system:
        await system.add_user(ANN)
        await nothing_is_lost(Stage(system, own_servers), number=500, faults=6, frozen_seconds=(0.5, 3.0))


@pytest.mark.parametrize("away", ["kafka", "mongod"])
@pytest.mark.parametrize("frozen", [False, True], ids=["stopped", "frozen"])
async def test_an_outage_loses_nothing(run_on_own: Run, own_servers: Servers, away: str, frozen: bool) -> None:
    async with run_on_own() as system:
        await system.add_user(ANN)
        await server_is_away(system, getattr(own_servers, away), seconds=4, around_seconds=1.5, frozen=frozen)


async def test_a_mailbox_answers_many_programs_beside_dovecot(run: Run) -> None:
    await a_mailbox_beside_dovecot(run, letters=200, rounds=1, programs=3, clients=3, seconds=2, is_promised=False)


async def test_a_large_mailbox_is_opened_and_opened_again_elsewhere(run: Run) -> None:
    await a_large_mailbox_is_opened(run, number=5000, rounds=1, is_promised=False)


async def test_a_mail_program_hears_of_what_another_store_does(run: Run) -> None:
    await idle_hears_soon(run, number=2, is_promised=False)
