"""Letters' bytes: once for each receipt, as they came, as long as a letter uses them (design rule 2)."""

import asyncio
import random

import pytest

from shared.mailbox.bodies import INLINE_BYTES, BodyMissing
from shared.mailbox.connect import Database
from shared.moments import utc_now
from tests.kit.letters import Room, a_letter

LARGE = bytes(range(256)) * (INLINE_BYTES // 256 + 1)


async def _keep(room: Room, receipt: str, raw: bytes, letters: list[str], offset: int = 0) -> None:
    await room.bodies.insert([(receipt, raw, letters)], origin={receipt: (0, offset)})


@pytest.fixture(autouse=True)
def _letters_are_of_no_interest_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests keep bodies without letters; the check after each looks at files and chunks only."""

    async def files_only(database: Database, *, is_idle: bool) -> list[str]:
        used = await database["bodies"].distinct("file")
        files = await database["large.files"].distinct("_id")
        chunks = await database["large.chunks"].distinct("files_id")
        return [] if set(used) <= set(files) and set(chunks) <= set(files) else [f"{used} {files} {chunks}"]

    monkeypatch.setattr("tests.kit.invariants.faults", files_only)


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\r\n\xff", b"x" * INLINE_BYTES, LARGE], ids=["empty", "odd", "most", "large"]
)
async def test_bytes_come_back_as_they_went_in(room: Room, raw: bytes) -> None:
    await _keep(room, "receipt", raw, ["a"])
    assert await room.bodies.raw("receipt") == raw
    assert await room.bodies.raws(["receipt", "unknown"]) == {"receipt": raw}
    assert await room.bodies.heads(["receipt"], 1000) == {"receipt": raw[:1000]}


async def test_a_body_that_is_not_there_is_said_to_be_missing(room: Room) -> None:
    with pytest.raises(BodyMissing):
        await room.bodies.raw("unknown")


@pytest.mark.parametrize("raw", [b"small", LARGE], ids=["inline", "large"])
async def test_kept_again_a_body_gains_the_letters_and_stays_one(room: Room, raw: bytes) -> None:
    await _keep(room, "receipt", raw, ["a"])
    await _keep(room, "receipt", raw, ["a", "b"])
    document = await room.database["bodies"].find_one({"_id": "receipt"})
    assert document is not None
    assert document["letters"] == ["a", "b"]
    assert await room.database["large.files"].count_documents({}) == (raw is LARGE)
    assert await room.bodies.raw("receipt") == raw


@pytest.mark.parametrize("raw", [b"small", LARGE], ids=["inline", "large"])
async def test_a_body_goes_only_when_its_list_is_empty(room: Room, raw: bytes) -> None:
    await _keep(room, "receipt", raw, ["a", "b"])
    await room.bodies.release({"receipt": ["a"]})
    assert await room.bodies.raw("receipt") == raw
    await room.bodies.release({"receipt": ["b"]})
    assert await room.bodies.raws(["receipt"]) == {}
    assert await room.database["large.chunks"].count_documents({}) == 0


async def test_releasing_again_changes_nothing(room: Room) -> None:
    await _keep(room, "receipt", b"raw", ["a", "b"])
    for _ in range(3):
        await room.bodies.release({"receipt": ["a"], "unknown": ["c"]})
    assert await room.bodies.raw("receipt") == b"raw"
    await room.bodies.release({})


async def _join(room: Room, receipt: str) -> None:
    await asyncio.sleep(random.random() * 0.004)
    await _keep(room, receipt, b"raw", ["b"])


async def test_a_letter_that_joins_while_the_last_one_leaves_has_its_body(room: Room) -> None:
    for number in range(100):
        receipt = f"receipt {number}"
        await _keep(room, receipt, b"raw", ["a"])
        await asyncio.gather(room.bodies.release({receipt: ["a"]}), _join(room, receipt))
        assert await room.bodies.raw(receipt) == b"raw"


async def test_a_large_letter_that_joins_while_the_last_one_leaves_has_its_body(room: Room) -> None:
    for number in range(4):
        receipt = f"receipt {number}"
        await _keep(room, receipt, LARGE, ["a"])
        await asyncio.gather(room.bodies.release({receipt: ["a"]}), _keep(room, receipt, LARGE, ["b"]))
        assert await room.bodies.raw(receipt) == LARGE


async def test_files_that_no_body_points_to_are_swept_once_their_record_cannot_come_again(room: Room) -> None:
    await _keep(room, "used", LARGE, ["a"], offset=1)
    await _keep(room, "orphan", LARGE, ["b"], offset=5)
    await room.database["bodies"].delete_one({"_id": "orphan"})
    assert await room.bodies.sweep_files({0: 5}, utc_now()) == 0, "its record may be worked on right now"
    assert await room.bodies.sweep_files({1: 99}, utc_now()) == 0, "of another partition"
    assert await room.bodies.sweep_files({0: 6}, utc_now()) == 1
    assert await room.bodies.raw("used") == LARGE


async def test_a_batch_keeps_each_body(room: Room) -> None:
    letters = [a_letter() for _ in range(100)]
    await room.bodies.insert(
        [(x["receipt_id"], x["_id"].encode(), [x["_id"]]) for x in letters],
        origin={x["receipt_id"]: (0, 0) for x in letters},
    )
    assert await room.bodies.raws(x["receipt_id"] for x in letters) == {
        x["receipt_id"]: x["_id"].encode() for x in letters
    }
