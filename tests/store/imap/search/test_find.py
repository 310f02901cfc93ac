"""Searches in folders on a real database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import pytest

from services.store.folders.view import Grip
from services.store.imap.commands import (
    AllOf,
    ChangedSince,
    Dated,
    Either,
    HasFlag,
    HasHeader,
    HasId,
    HasText,
    InNumbers,
    Key,
    Not,
    Numbers,
)
from services.store.imap.search import Found, TooBroad, find
from services.store.renderings import Renderings
from shared.settings import Store
from tests.kit.letters import NOW
from tests.kit.office import ANN, Office, opened_office
from tests.kit.scope import Scope

LUNCH = b"From: Bob <bob@x.test>\r\nSubject: Lunch\r\nDate: Thu, 1 Feb 2024 12:00:00 +0100\r\n\r\nAt noon.\r\n"
GREETING = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@x.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Sat, 3 Feb 2024 12:00:00 +0100\r\n\r\nAt noon?\r\n"
)
BARE = b"\r\nNobody wrote this.\r\n"
ALL_KEY = Not(HasFlag("nothere"))


@dataclass(slots=True)
class Desk:
    """Ann's INBOX with these three letters, as a session has it open."""

    office: Office
    renderings: Renderings
    grip: Grip

    async def find(self, key: Key, saved: tuple[int, ...] = ()) -> Found:
        return await find(key, self.grip, self.renderings, NOW, saved)

    async def numbers(self, key: Key, saved: tuple[int, ...] = ()) -> list[int]:
        return list((await self.find(key, saved)).numbers)


@pytest.fixture
async def desk(scope: Scope) -> AsyncIterator[Desk]:
    async with opened_office(scope) as office:
        for raw in (LUNCH, GREETING, BARE):
            await office.arrive(1, raw=raw)
        inbox = await office.cabinet.folder(ANN, "INBOX")
        async with (
            Renderings(office.room.database, scope.settings(Store)) as renderings,
            office.cabinet.opened(inbox) as view,
        ):
            await office.cabinet.set_flags(view, [1], "add", ["\\Seen"])
            grip = Grip(view)
            yield Desk(office, renderings, grip)
            grip.close()


FOUND: list[tuple[Key, list[int]]] = [
    (ALL_KEY, [1, 2, 3]),
    (HasFlag("\\seen"), [1]),
    (HasHeader("Subject", "lunch"), [1]),
    (HasHeader("subject", "GRÜSSE"), [2]),
    (HasHeader("Subject", ""), [1, 2]),
    (Not(HasHeader("Subject", "")), [3]),
    (HasHeader("From", "jörg <joerg"), [2]),
    (HasHeader("Nothere", ""), []),
    (HasHeader("", ""), []),
    (Dated("before", date(2024, 2, 3), is_sent=True), [1]),
    (Dated("on", date(2024, 2, 3), is_sent=True), [2]),
    (Dated("since", date(2024, 2, 1), is_sent=True), [1, 2]),
    (Not(Dated("since", date(2024, 2, 1), is_sent=True)), [3]),
    (Dated("on", NOW.date(), is_sent=False), [1, 2, 3]),
    (HasText("noon", in_headers=False), [1, 2]),
    (HasText("LUNCH", in_headers=False), []),
    (HasText("LUNCH", in_headers=True), [1]),
    (AllOf((HasText("noon", in_headers=False), Not(HasHeader("Subject", "Lunch")))), [2]),
    (Either(HasText("nobody", in_headers=False), Either(HasHeader("Subject", "Lunch"), HasFlag("\\Seen"))), [1, 3]),
    (AllOf((HasText("noon", in_headers=False), Dated("on", date(2024, 2, 1), is_sent=True), HasFlag("\\Seen"))), [1]),
    (Not(AllOf((HasText("noon", in_headers=False), HasHeader("From", "bob")))), [2, 3]),
]


async def test_a_search_finds_what_its_key_is_true_of(desk: Desk) -> None:
    for key, numbers in FOUND:
        assert await desk.numbers(key) == numbers, key
        assert await desk.numbers(key) == numbers, f"what is remembered says the same of {key}"


async def test_what_was_saved_is_found_again(desk: Desk) -> None:
    assert await desk.numbers(InNumbers(Numbers(is_saved=True), is_uid=False), (2, 3, 77)) == [2, 3]


async def test_mod_sequences_are_told_where_one_was_searched_for(desk: Desk) -> None:
    modseq = desk.grip.view.rows[1].modseq
    found = await desk.find(ChangedSince(modseq))
    assert (list(found.uids), found.modseq) == ([1], modseq)
    assert (await desk.find(ChangedSince(modseq + 1))).modseq is None
    assert (await desk.find(HasFlag("\\Seen"))).modseqs is None


async def test_a_letter_that_is_gone_keeps_its_number_until_that_is_told(desk: Desk) -> None:
    await desk.office.cabinet.expunge(desk.grip.view, [1], only_deleted=False)
    assert await desk.numbers(HasFlag("\\Seen")) == [1]
    assert await desk.numbers(InNumbers(Numbers(((3, 3),)), is_uid=True)) == [3]
    desk.grip.tell_vanished()
    assert await desk.numbers(HasFlag("\\Seen")) == []
    assert await desk.numbers(InNumbers(Numbers(((3, 3),)), is_uid=True)) == [2]


async def test_a_letter_that_has_come_is_found_when_it_has_been_told(desk: Desk) -> None:
    await desk.office.arrive(1, raw=LUNCH)
    await desk.office.cabinet.views.refresh(desk.grip.view)
    assert await desk.numbers(HasHeader("Subject", "lunch")) == [1]
    desk.grip.tell_arrived()
    assert await desk.numbers(HasHeader("Subject", "lunch")) == [1, 4]


async def test_each_copy_of_a_letter_is_found(desk: Desk) -> None:
    view = desk.grip.view
    await desk.office.cabinet.copy(view, [2], view.folder)
    await desk.office.cabinet.views.refresh(view)
    desk.grip.tell_arrived()
    same = HasId("email", view.rows[2].receipt_id)
    both = HasHeader("Subject", "grüße"), HasText("noon?", in_headers=False), same
    assert [await desk.numbers(key) for key in both] == [[2, 4]] * 3


async def test_a_folder_is_searched_to_its_end(desk: Desk) -> None:
    await desk.office.arrive(1100, raw=LUNCH)
    await desk.office.cabinet.views.refresh(desk.grip.view)
    desk.grip.tell_arrived()
    expected = [1, *range(4, 1104)]
    assert await desk.numbers(HasHeader("From", "bob")) == expected
    assert await desk.numbers(AllOf((HasHeader("From", "bob"), HasText("noon", in_headers=False)))) == expected


async def test_a_search_that_costs_too_much_is_refused(desk: Desk) -> None:
    with pytest.raises(TooBroad):
        await desk.find(AllOf(tuple(HasText(str(number), in_headers=True) for number in range(10_000))))
