"""Tries to log in: counted together, waited for, forgotten; and nobody is locked out of where he is known."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.mailbox import connect, indexes
from shared.mailbox.connect import Database
from shared.mailbox.tries import Tries, Try
from tests.kit.scope import Scope

ANN, BEN = "ann@example.test", "ben@example.test"
HOME, STRANGER = "198.51.100.7", "192.0.2.66"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = 3


@pytest.fixture
async def database(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Database]:
    database = Scope.new(kafka_bootstrap, mongodb_url).connect()
    yield database
    await connect.drop(database)
    database.client.close()


@pytest.fixture
def tries(database: Database) -> Tries:
    return Tries(database, LIMIT)


def later(**span: float) -> datetime:
    return NOW + timedelta(**span)


async def fail(tries: Tries, now: datetime, account: str = ANN, network: str = STRANGER, times: int = 1) -> Try:
    """Try a wrong password, some times; returns the last try."""
    for _ in range(times):
        made = await tries.ask(account, network, now, is_exempt=False)
        if not made.wait_seconds:
            await tries.wrong(made, now)
    return made


async def enter(tries: Tries, now: datetime, account: str = ANN, network: str = HOME) -> Try:
    """Try the right password."""
    made = await tries.ask(account, network, now, is_exempt=False)
    if not made.wait_seconds:
        await tries.right(made, now)
    return made


async def test_the_tries_of_a_minute_are_free_and_the_next_has_to_wait(tries: Tries) -> None:
    for number in range(1, LIMIT + 1):
        made = await fail(tries, NOW)
        assert (made.number, made.wait_seconds) == (number, 0)
    assert (await fail(tries, NOW)).wait_seconds == 60
    assert (await fail(tries, later(seconds=50))).wait_seconds == 10


async def test_tries_that_are_far_apart_never_wait(tries: Tries) -> None:
    for minute in range(20):
        made = await fail(tries, later(minutes=minute), times=LIMIT - 1)
        assert (made.number, made.wait_seconds) == (LIMIT - 1, 0)


async def test_each_try_after_the_limit_doubles_the_wait_up_to_minutes(tries: Tries) -> None:
    now, waits = NOW, []
    await fail(tries, now, times=LIMIT)
    for _ in range(6):
        wait = (await fail(tries, now)).wait_seconds
        waits.append(wait)
        now += timedelta(seconds=wait)
        assert (await fail(tries, now)).wait_seconds == 0
    assert waits == [60, 120, 240, 300, 300, 300]


async def test_who_is_made_to_wait_does_not_make_the_wait_longer(tries: Tries, database: Database) -> None:
    await fail(tries, NOW, times=LIMIT)
    before = [document async for document in database["tries"].find({})]
    await fail(tries, later(seconds=5), times=20)
    assert [document async for document in database["tries"].find({})] == before


async def test_an_hour_of_quiet_is_forgiven(tries: Tries) -> None:
    await fail(tries, NOW, times=LIMIT)
    assert (await fail(tries, later(minutes=59))).number == LIMIT + 1
    assert (await fail(tries, later(minutes=59 + 2 + 61))).number == 1


async def test_a_right_password_begins_the_count_anew(tries: Tries) -> None:
    await fail(tries, NOW, times=LIMIT - 1)
    assert (await enter(tries, NOW)).wait_seconds == 0
    assert (await fail(tries, NOW, times=LIMIT, network="192.0.2.67")).wait_seconds == 0


async def test_strangers_that_guess_lock_nobody_out_of_where_he_is_known(tries: Tries) -> None:
    await enter(tries, NOW)
    now = NOW
    for number in range(40):
        now += timedelta(seconds=30)
        await fail(tries, now, network=f"192.0.2.{number}", times=LIMIT)
        assert (await enter(tries, now)).wait_seconds == 0
    # Who is new has to wait with them,
    assert (await enter(tries, now, network="203.0.113.5")).wait_seconds > 0
    # and what people do where they are known is no help to them.
    assert (await fail(tries, now)).wait_seconds > 0


async def test_where_an_account_is_known_guessing_is_limited_too(tries: Tries) -> None:
    await enter(tries, NOW)
    assert (await fail(tries, NOW, network=HOME, times=LIMIT + 1)).wait_seconds == 60
    assert (await enter(tries, NOW)).wait_seconds == 60


async def test_a_place_is_known_for_a_month_after_the_last_right_password(tries: Tries) -> None:
    await enter(tries, NOW)
    assert (await enter(tries, later(days=29))).is_known
    assert (await enter(tries, later(days=58))).is_known
    assert not (await enter(tries, later(days=89))).is_known


async def test_one_address_cannot_try_account_after_account(tries: Tries) -> None:
    for number in range(LIMIT):
        assert (await fail(tries, NOW, account=f"user{number}@example.test")).wait_seconds == 0
    assert (await fail(tries, NOW, account=BEN)).wait_seconds == 60
    assert (await fail(tries, NOW, account=BEN, network="192.0.2.67")).wait_seconds == 0


async def test_people_who_are_known_at_an_address_do_not_suffer_from_others_there(tries: Tries) -> None:
    await enter(tries, NOW, account=BEN)
    for number in range(LIMIT):
        await fail(tries, NOW, account=f"user{number}@example.test", network=HOME)
    assert (await enter(tries, NOW, account=BEN)).wait_seconds == 0
    assert (await enter(tries, NOW, account=ANN)).wait_seconds == 60


async def test_right_passwords_from_one_address_are_not_limited(tries: Tries) -> None:
    for number in range(5 * LIMIT):
        assert (await enter(tries, NOW, account=f"user{number}@example.test")).wait_seconds == 0


async def test_an_exempt_address_is_limited_by_the_account_only(tries: Tries) -> None:
    for number in range(3 * LIMIT):
        made = await tries.ask(f"user{number}@example.test", "127.0.0.1", NOW, is_exempt=True)
        await tries.wrong(made, NOW)
        assert made.wait_seconds == 0
    for _ in range(LIMIT):
        await tries.ask(ANN, "127.0.0.1", NOW, is_exempt=True)
    assert (await tries.ask(ANN, "127.0.0.1", NOW, is_exempt=True)).wait_seconds == 60


async def test_a_try_that_was_not_looked_at_does_not_count(tries: Tries) -> None:
    for _ in range(3 * LIMIT):
        made = await tries.ask(ANN, HOME, NOW, is_exempt=False)
        assert made.wait_seconds == 0
        await tries.undone(made, NOW)


@pytest.mark.parametrize("name", [f"{ANN} from {HOME}", f"{HOME} {ANN}", f"known:{HOME} {ANN}", f"address:{HOME}", ""])
async def test_no_name_that_is_typed_touches_anothers_count(tries: Tries, name: str) -> None:
    await enter(tries, NOW)
    await fail(tries, NOW, account=name, times=3 * LIMIT)
    assert (await enter(tries, NOW)).wait_seconds == 0


async def test_two_counters_count_together(tries: Tries, database: Database) -> None:
    other = Tries(database, LIMIT)
    await fail(tries, NOW, times=LIMIT - 1)
    assert (await fail(other, NOW)).number == LIMIT
    assert (await fail(tries, NOW)).wait_seconds == 60


async def test_counts_are_made_away_with_once_they_mean_nothing(tries: Tries, database: Database) -> None:
    await indexes.create(database)
    assert (await database["tries"].index_information())["expires_at_1"]["expireAfterSeconds"] == 0
    await fail(tries, NOW, times=LIMIT)
    await enter(tries, NOW, account=BEN)
    ends = {document["_id"]: document["expires_at"] async for document in database["tries"].find({})}
    assert ends == {
        f"account:{ANN}": later(minutes=61),
        f"address:{STRANGER}": later(minutes=61),
        f"known:{HOME} {BEN}": later(days=30),
    }
