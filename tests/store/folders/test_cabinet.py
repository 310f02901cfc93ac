"""Folders and letters as mail programs handle them, on a real database."""

import asyncio

import pytest

from services.store.folders.cabinet import NotPossible
from services.store.folders.view import CANCELLED, PENDING, Grip
from shared.mailbox.folders import FolderExists, FolderMissing, Folders
from shared.mailbox.own import OwnLetters
from shared.mailbox.removal import Removal
from tests.kit.letters import EXPIRES, LATER, NOW
from tests.kit.office import ANN, Office


async def test_letters_are_numbered_in_order_of_arrival_when_somebody_looks(office: Office) -> None:
    ids = await office.arrive(5)
    assert "uid" not in await office.letter(ids[0])
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        assert [view.rows[uid].letter_id for uid in view.uids] == ids
        assert list(view.uids) == [1, 2, 3, 4, 5]
        assert view.rows[1].flags == {PENDING}


async def test_a_number_is_never_given_twice(office: Office) -> None:
    ids = await office.arrive(3)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        await office.cabinet.expunge(view, [3], only_deleted=False)
        more = await office.arrive(1)
        await office.cabinet.views.refresh(view)
        assert list(view.uids) == [1, 2, 4]
        assert view.rows[4].letter_id == more[0]
    assert (await office.letter(ids[2]))["forward"]["state"] == "cancelled"


async def test_two_replicas_give_the_same_numbers(office: Office) -> None:
    await office.arrive(50)
    inbox = await office.cabinet.folder(ANN, "INBOX")

    async def seen(cabinet: object) -> dict[int, str]:
        async with cabinet.opened(inbox) as view:  # type: ignore[attr-defined]
            return {uid: row.letter_id for uid, row in view.rows.items()}

    async def come_in() -> None:
        for _ in range(10):
            await office.arrive(5)

    looks = [seen(cabinet) for cabinet in (office.cabinet, office.other) * 10]
    results = await asyncio.gather(*looks, come_in())
    last = await seen(office.cabinet)
    assert await seen(office.other) == last
    assert sorted(last) == list(range(1, 101))
    for result in results[:-1]:
        assert result is not None
        assert result.items() <= last.items(), "a number belongs to the same letter for everybody, for ever"
        assert sorted(result) == list(range(1, len(result) + 1)), "numbers become visible in their order"


async def test_another_replicas_changes_are_seen_with_a_higher_modseq(office: Office) -> None:
    await office.arrive(3)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view, office.other.opened(inbox) as there:
        grip, before = Grip(view), view.folder.modseq
        await office.other.set_flags(there, [2], "add", ["\\Seen"])
        await office.other.expunge(there, [1], only_deleted=False)
        await office.cabinet.views.refresh(view)
        assert view.folder.modseq > before
        assert [(number, row.uid) for number, row in grip.tell_changed()] == [(2, 2)]
        assert grip.tell_vanished() == [(1, 1)]
        assert list(grip.uids) == [2, 3]
        grip.close()


async def test_a_flag_that_is_there_already_changes_nothing(office: Office) -> None:
    await office.arrive(1)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        await office.cabinet.set_flags(view, [1], "add", ["\\Seen"])
        modseq = view.rows[1].modseq
        await office.cabinet.set_flags(view, [1], "add", ["\\Seen"])
        await office.cabinet.set_flags(view, [1], "remove", ["\\Flagged"])
        await office.cabinet.set_flags(view, [1], "replace", ["\\Seen"])
        assert view.rows[1].modseq == modseq


async def test_what_has_changed_since_is_left_alone(office: Office) -> None:
    await office.arrive(2)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        since = view.folder.modseq
        await office.cabinet.set_flags(view, [1], "add", ["\\Seen"])
        assert await office.cabinet.set_flags(view, [1, 2], "add", ["\\Flagged"], since) == [1]
        assert "\\Flagged" not in view.rows[1].flags
        assert "\\Flagged" in view.rows[2].flags


async def test_expunge_takes_only_what_is_marked(office: Office) -> None:
    await office.arrive(3)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        await office.cabinet.set_flags(view, [2], "add", ["\\Deleted"])
        await office.cabinet.expunge(view, [1, 2, 3])
        assert list(view.uids) == [1, 3]


async def test_a_move_to_trash_cancels_and_a_move_back_arms_again(office: Office) -> None:
    (letter,) = await office.arrive(1)
    inbox, trash = await office.cabinet.folder(ANN, "INBOX"), await office.cabinet.folder(ANN, "Trash")
    async with office.cabinet.opened(inbox) as view:
        assert await office.cabinet.move(view, [1], trash) == {1: 1}
        assert not view.uids
    there = await office.letter(letter)
    assert there["forward"]["state"] == "cancelled"
    assert [mark["fields"]["reason"] for mark in there["unannounced"]] == ["trash"]
    async with office.cabinet.opened(trash) as view:
        assert view.rows[1].flags == {CANCELLED}
        assert await office.cabinet.move(view, [1], inbox) == {1: 2}
    back = await office.letter(letter)
    assert (back["forward"]["state"], back["forward"]["arming"]) == ("pending", 2)
    assert [mark["kind"] for mark in back["unannounced"]] == ["deleted", "stored"]


async def test_a_copy_is_the_persons_own_and_leaves_the_forward_alone(office: Office) -> None:
    (letter,) = await office.arrive(1)
    inbox, trash = await office.cabinet.folder(ANN, "INBOX"), await office.cabinet.folder(ANN, "Trash")
    async with office.cabinet.opened(inbox) as view:
        assert await office.cabinet.copy(view, [1], trash) == {1: 1}
    assert (await office.letter(letter))["forward"]["state"] == "pending"
    async with office.cabinet.opened(trash) as view:
        copy = await office.letter(view.rows[1].letter_id)
        assert copy["forward"]["state"] == "none"
        assert (await office.cabinet.bodies([view.rows[1]]))[copy["receipt_id"]].endswith(b"hi\r\n")


async def test_what_is_appended_has_its_own_flags_and_date(office: Office) -> None:
    sent = await office.cabinet.folder(ANN, "Sent")
    assert await office.cabinet.append(sent, [(b"a", ["\\Seen"], EXPIRES), (b"bb", [], None)]) == [1, 2]
    async with office.cabinet.opened(sent) as view:
        assert [(row.size, sorted(row.flags)) for row in view.rows.values()] == [(1, ["\\Seen"]), (2, [])]
        assert view.rows[1].at == EXPIRES


async def test_a_copy_of_a_forwarded_letter_vanishes_from_every_view(office: Office) -> None:
    ids = await office.arrive(2)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        grip = Grip(view)
        await office.room.claims.claim([ids[0]], "forwarder", "token", LATER)
        await office.room.end(ids[0], "deliver")
        await Removal(office.room.database).remove_copies([ids[0]], LATER, EXPIRES)
        await office.cabinet.views.refresh(view)
        assert grip.row(1) is not None, "it can be read until it is told that it is gone"
        assert grip.tell_vanished() == [(1, 1)]
        grip.close()


async def test_a_deferral_shows_as_a_keyword_with_a_new_modseq(office: Office) -> None:
    (letter,) = await office.arrive(1)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        before = view.rows[1].modseq
        await office.room.claims.claim([letter], "forwarder", "token", LATER)
        await office.room.end(letter, "defer", code=451, due=LATER)
        await office.cabinet.views.refresh(view)
        assert view.rows[1].flags == {"$ForwardDeferred"}
        assert view.rows[1].modseq > before


async def test_a_renamed_folder_keeps_its_letters_and_their_numbers(office: Office) -> None:
    await office.cabinet.create(ANN, "a/b")
    folder = await office.cabinet.folder(ANN, "a/b")
    await office.cabinet.append(folder, [(b"x", [], None)])
    await office.cabinet.rename(ANN, "a", "c")
    with pytest.raises(FolderMissing):
        await office.cabinet.folder(ANN, "a/b")
    renamed = await office.cabinet.folder(ANN, "c/b")
    assert renamed.uidvalidity == folder.uidvalidity
    async with office.cabinet.opened(renamed) as view:
        assert (await office.letter(view.rows[1].letter_id))["folder"] == "c/b"


async def test_a_folder_made_again_is_another_one(office: Office) -> None:
    first = await office.cabinet.create(ANN, "a")
    with pytest.raises(FolderExists):
        await office.cabinet.create(ANN, "a")
    await office.cabinet.append(first, [(b"x", [], None)])
    await office.cabinet.delete(ANN, "a")
    second = await office.cabinet.create(ANN, "a")
    assert second.uidvalidity > first.uidvalidity
    async with office.cabinet.opened(second) as view:
        assert not view.uids


async def test_what_every_user_has_stays(office: Office) -> None:
    for name in ("INBOX", "Trash"):
        with pytest.raises(NotPossible):
            await office.cabinet.delete(ANN, name)
    assert [folder.name for folder in await office.cabinet.folders(ANN)] == [
        *("INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive")
    ]


async def test_a_job_that_nobody_finishes_is_finished_by_the_next(office: Office) -> None:
    await office.arrive(2)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    ids = [document["_id"] async for document in office.room.database["letters"].find({}).sort("_id", 1)]
    job = {"modseq": 2, "token": "of-one-who-died", "first_uid": 1, "uidnext": 3, "left": [], "stirred": [], "at": NOW}
    job["number"] = [[name, "arrived"] for name in ids]
    await office.room.database["folders"].update_one({"_id": inbox.id}, {"$set": {"job": job}})
    async with office.cabinet.opened(inbox) as view:
        assert list(view.uids) == [1, 2]
        assert view.folder.modseq == 2


async def test_a_view_that_has_not_looked_for_long_reads_the_folder_anew(office: Office) -> None:
    await office.arrive(3)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view, office.other.opened(inbox) as there:
        grip = Grip(view)
        await office.other.set_flags(there, [2], "add", ["\\Seen"])
        await office.other.expunge(there, [1], only_deleted=False)
        await office.room.database["changes"].delete_many({})
        await office.room.database["tombstones"].delete_many({})
        await office.cabinet.views.refresh(view)
        assert list(view.uids) == [2, 3]
        assert grip.tell_vanished() == [(1, 1)]
        assert [row.uid for _, row in grip.tell_changed()] == [2]
        assert await office.cabinet.views.gone(view, 1) == [(1, 1)], "all that is not there"
        grip.close()


async def test_a_database_that_was_put_back_has_other_numbers(office: Office) -> None:
    await office.arrive(1)
    inbox = await office.cabinet.folder(ANN, "INBOX")
    async with office.cabinet.opened(inbox) as view:
        await Folders(office.room.database).renew(LATER)
        with pytest.raises(FolderMissing):
            await office.cabinet.views.refresh(view)
        assert view.is_gone
    again = await office.cabinet.folder(ANN, "INBOX")
    assert again.uidvalidity > inbox.uidvalidity
    async with office.cabinet.opened(again) as view:
        assert len(view) == 1


async def test_a_body_whose_letter_a_crash_kept_from_being_written_is_swept(office: Office) -> None:
    sent = await office.cabinet.folder(ANN, "Sent")
    own, database = OwnLetters(office.room.database, 12), office.room.database
    await office.cabinet.append(sent, [(b"kept", [], None)])
    receipt = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    await database["own_pending"].insert_one({"_id": f"{receipt}-A", "receipt_id": receipt, "at": NOW})
    await office.room.bodies.insert_own(receipt, b"lost", f"{receipt}-A")
    assert await own.sweep(LATER, 100) == 1
    assert await own.sweep(LATER, 100) == 0
    assert [body["raw"] async for body in database["bodies"].find({})] == [b"kept"]
