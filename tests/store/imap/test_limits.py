"""What a session may cost, and what is said to one that asks for more."""

import asyncio

import pytest

from tests.kit.imapwire import Wire, literal
from tests.kit.office import ANN
from tests.store.imap.conftest import PASSWORD, Counter, Opening, ok

LIMIT = 100_000


async def test_a_literal_before_login_is_refused_before_it_is_read(counter: Counter) -> None:
    async with await Wire.open(counter.port) as wire:
        answer = await wire.command(b'LOGIN "ann" {4097}\r\n' + b"x" * 4097)
        assert (answer.status, b"[TOOBIG]" in answer.tagged) == ("NO", True)
        assert (await wire.login(ANN, PASSWORD)).status == "OK"


async def test_a_letter_over_the_limit_is_refused_and_the_session_goes_on(opening: Opening) -> None:
    async with opening(max_message_bytes=LIMIT) as counter, await counter.ann() as wire:
        assert b"APPENDLIMIT=%d" % LIMIT in (await ok(wire, "CAPABILITY")).untagged[0]
        for plus in (False, True):
            answer = await wire.command(b"APPEND INBOX " + literal(b"x" * (LIMIT + 1), plus=plus))
            assert (answer.status, b"[TOOBIG]" in answer.tagged) == ("NO", True)
        await ok(wire, b"APPEND INBOX " + literal(b"x" * LIMIT))


async def test_four_gigabytes_that_come_unasked_end_the_session(counter: Counter) -> None:
    async with await counter.ann() as wire:
        await wire.send(b"a APPEND INBOX {4294967296+}\r\n")
        assert (await wire.hears(b"BYE")).status == "HEARD"


async def test_a_line_that_is_too_long_is_bad_and_the_session_goes_on(counter: Counter) -> None:
    async with await counter.ann() as wire:
        answer = await wire.command(b"SEARCH " + b"SEEN " * 200_000)
        assert answer.status == "BAD"
        await ok(wire, "NOOP")


async def test_ten_thousand_terms_are_searched_while_others_are_served(counter: Counter) -> None:
    await counter.office.arrive(20)
    async with await counter.ann() as wire, await counter.ann() as other:
        search = asyncio.ensure_future(wire.command(b"SEARCH " + b" ".join([b"UNSEEN NOT DELETED"] * 3300)))
        while not search.done():
            await ok(other, "NOOP")
        assert (await search).untagged == [b"SEARCH " + b" ".join(b"%d" % number for number in range(1, 21))]


async def test_a_full_mailbox_takes_nothing_more_from_its_user_and_everything_by_mail(opening: Opening) -> None:
    async with opening(mailbox_quota_bytes=2048) as counter:
        await counter.office.arrive(1, raw=b"Subject: x\r\n\r\n" + b"x" * 1500)
        async with await counter.ann() as wire:
            assert b'QUOTA "" (STORAGE 2 2)' in (await ok(wire, "GETQUOTAROOT INBOX")).untagged
            for command in (b"APPEND Sent " + literal(b"y" * 1000), b"COPY 1 Sent"):
                answer = await wire.command(command)
                assert (answer.status, b"[OVERQUOTA]" in answer.tagged) == ("NO", True)
            await counter.office.arrive(1, raw=b"Subject: x\r\n\r\n" + b"x" * 1500)
            assert b"2 EXISTS" in (await ok(wire, "NOOP")).untagged


async def test_who_guesses_has_to_connect_anew(opening: Opening) -> None:
    async with opening(login_tries_per_minute=100) as counter, await Wire.open(counter.port) as wire:
        answers = [await wire.login(ANN, "wrong") for _ in range(10)]
        assert [answer.status for answer in answers[:9]] == ["NO"] * 9
        assert answers[9].status == "CLOSED"


async def test_too_many_commands_that_are_none_end_the_session(counter: Counter) -> None:
    async with await counter.ann() as wire:
        answers = [await wire.command("XYZZY") for _ in range(51)]
        assert [answer.status for answer in answers[-2:]] == ["BAD", "CLOSED"]


@pytest.mark.parametrize("command", ["SELECT INBOX", 'LIST "" *', "SEARCH ALL", "IDLE", "ENABLE QRESYNC", "NAMESPACE"])
async def test_nothing_is_told_before_login(counter: Counter, command: str) -> None:
    async with await Wire.open(counter.port) as wire:
        answer = await wire.command(command)
        assert (answer.status, answer.untagged) == ("BAD", [])
