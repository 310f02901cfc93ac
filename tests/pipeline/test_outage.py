"""The main server is away, or behaves badly: mail waits, can be read, and goes on when it is itself again."""

import pytest

from tests.kit import mainserver
from tests.kit.mainserver import Temper, first, refusing, refusing_recipient, slow
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN, BOB = "ann@example.test", "bob@example.test"


async def test_mail_is_accepted_and_read_while_the_main_server_is_away_and_forwarded_when_it_is_back(
    system: System,
) -> None:
    await system.main.go_away()
    sent = await system.send(letters(100, ANN))

    async def all_shown() -> bool:
        return len(await system.api.letters(ANN)) == 100

    await until(all_shown, what="100 letters in the mailbox")
    for letter in (await system.api.letters(ANN))[:5]:
        assert letter["forward"]["state"] in ("pending", "deferred", "in_flight")
        original = next(one.letter.raw for one in sent if one.receipt_id == letter["receipt_id"])
        assert (await system.api.raw(letter["id"])).endswith(original)
    await system.main.come_back()
    await system.main.has_taken(100)
    await system.settle()
    assert await system.api.letters(ANN) == []
    await system.check()


@pytest.mark.parametrize(
    ("temper", "twice"),
    [
        (refusing("MAIL", b"450 4.0.0 Later"), False),
        (refusing("RCPT", b"451 4.0.0 Later"), False),
        (refusing("RCPT", b"550 5.1.1 No such user"), False),
        (refusing("DATA", b"452 4.3.1 Full"), False),
        (refusing("DOT", b"554 5.7.1 Spam"), False),
        (refusing("MAIL", b"421 4.3.2 Closing"), False),
        (mainserver.dropping_before_dot, False),
        (mainserver.dropping_after_dot, True),
        (slow(0.2), False),
    ],
    ids=["mail-450", "rcpt-451", "rcpt-550", "data-452", "dot-554", "mail-421", "drop-before", "drop-after", "slow"],
)
async def test_letters_wait_out_a_bad_temper(system: System, temper: Temper, twice: bool) -> None:
    system.main.temper = temper
    await system.send(letters(10, ANN))
    await system.main.has_begun(5)
    system.main.temper = mainserver.plain
    await system.main.has_taken(10)
    await system.settle()
    await system.check(after="the line broke after the dot" if twice else None)


async def test_one_refused_recipient_does_not_hold_the_others(system: System) -> None:
    if BOB not in system.ledger.users:
        await system.add_user(BOB)
    system.main.temper = refusing_recipient("bob@main.test", b"550 5.1.1 No such user")
    await system.send(letters(20, ANN, BOB))
    await system.main.has_taken(20)
    assert {letter.recipients for letter in system.main.taken} == {("ann@main.test",)}
    assert len(await system.api.letters(BOB)) == 20
    system.main.temper = mainserver.plain
    await system.main.has_taken(40)
    await system.settle()
    await system.check()


async def test_each_try_is_written_down_with_what_the_server_said(system: System) -> None:
    system.main.temper = first(2, refusing("RCPT", b"451 4.7.1 Try $later"), at="RCPT")
    (sent,) = await system.send(letters(1, ANN))
    await system.main.has_taken(1)
    await system.settle()
    (name,) = [i for i in await system.ledger.documents() if i.startswith(str(sent.receipt_id))]
    attempts = (await system.api.get(f"/letters/{name}/attempts"))["items"]
    assert [attempt["reply"]["code"] for attempt in attempts] == [451, 451, 250]
    assert "Try $later" in attempts[0]["reply"]["text"]
    await system.check()


async def test_a_server_that_hangs_is_given_up_in_time_and_tried_again(run: Run) -> None:
    patience = {"command_seconds": 1.5, "data_seconds": 1.5, "block_seconds": 1.5, "final_dot_seconds": 1.5}
    async with run(**patience) as system:
        await system.add_user(ANN)
        for temper in (mainserver.greeting_never, mainserver.hanging_before_dot, mainserver.hanging_after_dot):
            system.begin()
            system.main.temper = temper
            await system.send(letters(3, ANN))
            await until(lambda: _connected_again(system), what="a second connection")
            system.main.temper = mainserver.plain
            await system.main.has_taken(3)
            await system.settle()
            await system.check(after="no answer came after the dot" if temper is mainserver.hanging_after_dot else None)


async def _connected_again(system: System) -> bool:
    return system.main.connections > 1


async def test_8_five_unknown_results_park_the_letter_and_it_stays_readable(system: System) -> None:
    system.main.temper = mainserver.dropping_after_dot
    await system.send(letters(1, ANN))
    await system.main.has_taken(5)
    await system.settle()
    (letter,) = await system.api.letters(ANN)
    assert letter["forward"]["state"] == "parked"
    assert len(system.main.taken) == 5
    await system.check(after="the line broke after the dot, five times")
    await system.api.ask("DELETE", f"/letters/{letter['id']}")
    await system.settle()


async def test_forward_now_overrides_the_clock(run: Run) -> None:
    async with run(retry_seconds=600) as system:
        await system.add_user(ANN)
        system.main.temper = first(1, refusing("RCPT", b"451 4.0.0 Later"), at="RCPT")
        await system.send(letters(1, ANN))

        async def deferred() -> list[str]:
            found = await system.api.letters(ANN, forward="deferred")
            return [letter["id"] for letter in found]

        (name,) = await until(deferred, what="the first try's end")
        await system.api.forward_now(name)
        await system.main.has_taken(1, within=10)
        await system.settle()
        await system.check()
