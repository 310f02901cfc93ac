"""A letter that is only forwarded and fails: its sender is told, once, and only he (RFC 3464)."""

from email.parser import BytesParser
from typing import Any

from shared.mailbox.clock import Clock
from shared.mailbox.notices import YOUNG
from shared.settings import Common
from tests.kit.mainserver import MainServer, plain, refusing
from tests.kit.patience import until
from tests.kit.sender import letter, letters
from tests.kit.system import System
from tests.pipeline.conftest import Run

PASSER, ANN = "passer@example.test", "ann@example.test"
# A letter's lifetime, in days: what is refused once after it is parked.
SECOND = 1 / 86400


async def _parked(system: System, number: int) -> list[dict[str, Any]]:
    """Wait until so many of the passer's letters are parked; administrators see them."""

    async def listed() -> list[dict[str, Any]]:
        found = await system.api.letters(PASSER, forward="parked")
        return found if len(found) == number else []

    return await until(listed, within=60, what=f"{number} parked letters")


async def _notices(system: System) -> list[dict[str, Any]]:
    return [one for one in await system.api.letters("postmaster") if one["sender"] == ""]


async def test_the_sender_of_a_forward_only_letter_that_fails_is_told_once(run: Run) -> None:
    async with MainServer() as relay, run(lifetime_days=SECOND, notice_relay=relay.name) as system:
        await system.add_user(PASSER, mode="forward_only")
        await system.add_user(ANN)
        system.main.temper = refusing("RCPT", b"451 4.7.1 Not now")
        (sent,) = await system.send(letters(1, PASSER, ANN))
        await system.send([letter(7, PASSER, sender="")])
        await _parked(system, 2)
        await relay.has_taken(1)
        await system.settle()
        (taken,) = relay.taken
        assert (taken.sender, taken.recipients) == ("", ("sender@elsewhere.test",))
        _check_notice(taken.raw, sent.letter.raw)
        assert len(await system.api.letters(ANN, forward="parked")) == 1, "readable here: nobody is told"
        assert system.main.taken == []
        assert await system.metric("forwarder", "understudy_notices_total") == 1
        await system.restart("forwarder")
        await system.settle()
        assert len(relay.taken) == 1, "told once"
        await system.check()


def _check_notice(raw: bytes, original: bytes) -> None:
    message = BytesParser().parsebytes(raw)
    assert message.get_content_type() == "multipart/report"
    assert message["To"] == "<sender@elsewhere.test>"
    parts: Any = message.get_payload()
    words, status, header = parts
    assert PASSER in words.as_string()
    assert status.get_payload()[1]["Final-Recipient"] == f"rfc822; {PASSER}"
    assert header.get_payload(decode=True).endswith(original.partition(b"\r\n\r\n")[0] + b"\r\n")


async def test_a_notice_that_fails_is_parked_and_answered_by_none(run: Run) -> None:
    async with MainServer() as relay, run(lifetime_days=SECOND, notice_relay=relay.name) as system:
        await system.add_user(PASSER, mode="forward_only")
        system.main.temper = relay.temper = refusing("RCPT", b"451 4.7.1 Not now")
        await system.send(letters(1, PASSER))

        async def parked() -> list[dict[str, Any]]:
            return [one for one in await _notices(system) if one["forward"]["state"] == "parked"]

        (notice,) = await until(parked, within=60, what="a parked notice")
        await system.settle()
        assert len(await _notices(system)) == 1
        relay.temper = plain
        await system.api.forward_now(notice["id"])
        await relay.has_taken(1)
        await system.settle()
        assert relay.taken[0].sender == ""
        await system.check()


async def test_without_a_relay_the_letter_is_parked_and_told_of_later_only_while_it_is_news(run: Run) -> None:
    async with MainServer() as relay, run(lifetime_days=SECOND, test_clock=True) as system:
        await system.add_user(PASSER, mode="forward_only")
        system.main.temper = refusing("RCPT", b"451 4.7.1 Not now")
        await system.send(letters(2, PASSER))
        shown = await _parked(system, 2)
        assert shown[0]["forward"]["last_reply"]["code"] == 451
        await system.settle()
        assert await _notices(system) == []
        await Clock(system.scope.connect(), Common()).move(YOUNG.total_seconds() + 60)
        await system.send([letter(3, PASSER, sender="news@elsewhere.test")])
        await _parked(system, 3)
        await system.restart("forwarder", notice_relay=relay.name)
        await relay.has_taken(1)
        await system.settle()
        assert [taken.recipients for taken in relay.taken] == [("news@elsewhere.test",)]
        await system.check()
