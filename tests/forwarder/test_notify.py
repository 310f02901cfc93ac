"""Notices written from what the database says of a failure, and their way through the loader, on a real MongoDB."""

from datetime import timedelta
from email.parser import BytesParser
from typing import Any

import pytest

from services.forwarder.load import NO_RELAY, Loader
from services.forwarder.notify import Notify
from services.forwarder.relay import Route
from shared.announcer import Announcer
from shared.bus.producer import Producer
from shared.mailbox.clock import Clock
from shared.mailbox.letters import Letter
from shared.mailbox.users import Users
from shared.sealing import Seal
from shared.settings import Common, Forwarder
from shared.target import TargetServer
from tests.kit.letters import Room, tried

RELAY = TargetServer("relay.example.test", 587, "user", "hush")
RAW = b"Received: by us id X\r\nSubject: Lunch\r\n\r\nbody\r\n"


async def _clock(room: Room) -> Clock:
    clock = Clock(room.database, Common())
    await clock.read()
    return clock


async def _notify(room: Room, **settings: Any) -> Notify:
    clock = await _clock(room)
    ours = Forwarder(hostname="understudy.test", **settings)
    announcer = Announcer(room.letters, room.marks, Producer(ours, "forwarder"), clock)
    return Notify(ours, RELAY, room.notices, room.bodies, announcer, clock, lambda: frozenset(range(12)))


async def _parked(room: Room, **fields: Any) -> str:
    """Parked now: an old mark is not looked at."""
    now = (await _clock(room)).now()
    given = {"mode": "forward_only", "folder": None, "now": now, "due": now, "received_at": now, **fields}
    name = await room.put_new(**given)
    receipt = (await room.now(name))["receipt_id"]
    await room.database["bodies"].update_one({"_id": receipt}, {"$set": {"raw": RAW}})
    await room.claims.claim([name], "forwarder", "token", now)
    await room.claims.record([tried(name, "park", code=550, text="5.1.1 No such user", began_at=now)], now)
    return name


async def _notices(room: Room) -> list[Letter]:
    return [letter async for letter in room.database["letters"].find({"notice": {"$exists": True}})]


def _parts(raw: bytes) -> list[Any]:
    parts = BytesParser().parsebytes(raw).get_payload()
    assert isinstance(parts, list)
    return parts


async def test_a_failure_is_told_to_its_sender_once(room: Room) -> None:
    name = await _parked(room)
    notify = await _notify(room)
    assert await notify.look() == 1
    assert await notify.look() == 0
    (letter,) = await _notices(room)
    assert letter["notice"] == {"recipient": "sender@elsewhere.test", "of": name}
    assert letter["forward"]["destination"] == "relay.example.test:587"
    text, status, header = _parts(await room.bodies.raw(letter["receipt_id"]))
    assert "<ann@example.test>" in text.get_payload()
    fields = status.get_payload()[1]
    assert fields["Status"] == "5.1.1"
    assert fields["Remote-MTA"] == "dns; main.example.test"
    assert fields["Last-Attempt-Date"]
    assert header.get_payload() == "Received: by us id X\nSubject: Lunch\n".replace("\n", "\r\n")


async def test_a_failure_for_want_of_time_says_so(room: Room) -> None:
    now = (await _clock(room)).now()
    await _parked(room, now=now - timedelta(hours=2))
    await (await _notify(room, lifetime_days=1 / 24)).look()
    (letter,) = await _notices(room)
    words = b" ".join((await room.bodies.raw(letter["receipt_id"])).split())
    assert b"The time for delivering it is over" in words


@pytest.mark.parametrize("sender", ["nobody", "a@b\r\nRCPT TO:<all@example.test>"])
async def test_a_sender_who_cannot_be_addressed_is_not_and_holds_up_nobody(room: Room, sender: str) -> None:
    bad = await _parked(room, sender=sender)
    good = await _parked(room)
    notify = await _notify(room)
    assert await notify.look() == 2
    assert await notify.look() == 0
    assert [letter["notice"]["of"] for letter in await _notices(room)] == [good]
    assert (await room.now(bad))["forward"]["state"] == "parked"


async def test_a_letter_whose_body_is_gone_is_told_of_all_the_same(room: Room) -> None:
    name = await _parked(room)
    receipt = (await room.now(name))["receipt_id"]
    kept = await room.database["bodies"].find_one({"_id": receipt})
    assert kept is not None
    await room.database["bodies"].delete_one({"_id": receipt})
    assert await (await _notify(room)).look() == 1
    assert len(await _notices(room)) == 1


async def test_written_again_elsewhere_a_notice_is_the_same(room: Room) -> None:
    name = await _parked(room)
    mark = (await room.now(name))["notice_due"]
    await (await _notify(room)).look()
    (first,) = await _notices(room)
    raw = await room.bodies.raw(first["receipt_id"])
    await room.database["letters"].delete_one({"_id": first["_id"]})
    await room.database["bodies"].delete_one({"_id": first["receipt_id"]})
    await room.database["letters"].update_one({"_id": name}, {"$set": {"notice_due": mark}})
    await (await _notify(room)).look()
    (second,) = await _notices(room)
    assert second["_id"] == first["_id"]
    assert await room.bodies.raw(second["receipt_id"]) == raw


def _loader(room: Room, relay: TargetServer | None) -> Loader:
    return Loader(Users(room.database), room.bodies, Seal(b"a key that is long enough"), relay)


async def _a_notice(room: Room) -> Letter:
    await _parked(room)
    await (await _notify(room)).look()
    (letter,) = await _notices(room)
    return letter


async def test_a_notice_goes_to_the_relay_from_the_null_sender(room: Room) -> None:
    letter = await _a_notice(room)
    loaded = await _loader(room, RELAY).load([letter], RELAY.name, "token", "forwarder")
    (job,) = loaded.jobs
    assert job.route == Route("relay.example.test", 587, "user", "hush", "opportunistic")
    assert (job.envelope.sender, job.envelope.recipient) == ("", "sender@elsewhere.test")
    assert b"multipart/report" in job.envelope.content


async def test_a_notice_follows_the_relay_and_is_parked_without_one(room: Room) -> None:
    letter = await _a_notice(room)
    moved = TargetServer("other.example.test", 25)
    loaded = await _loader(room, moved).load([letter], RELAY.name, "token", "forwarder")
    assert loaded.misfiled == [(letter, "other.example.test:25")]
    loaded = await _loader(room, None).load([letter], RELAY.name, "token", "forwarder")
    assert loaded.unsendable == [(letter, NO_RELAY, True)]
