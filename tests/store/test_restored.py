"""The database is put back to an older state; the topics know what it has forgotten (design rule 13)."""

import asyncio

from services.store.intake import Receipt, decode
from services.store.refile import Refile
from services.store.restored import Restored
from shared.bus.consumer import Consumer
from shared.bus.producer import Message, Producer
from shared.events import Deleted, Forwarded
from shared.letter import letter_id
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.destinations import Destinations
from shared.mailbox.folders import Folders
from shared.mailbox.positions import Positions
from shared.moments import rfc3339, utc_now
from tests.kit.patience import until
from tests.store.conftest import ANN, Desk, receipt


def _forwarded(name: str) -> Message:
    event = Forwarded(
        event_id=f"{name}.forwarded.1",
        at=rfc3339(utc_now()),
        letter_id=name,
        receipt_id=name[:26],
        address=ANN,
        destination="main.test:25",
        outcome="delivered",
        reply={"code": 250, "text": "ok"},
        attempts=1,
        seconds_waited=0.1,
        arming=1,
    )
    return Message("forwarded", name, event.to_json(), 0)


def _deleted(name: str) -> Message:
    event = Deleted(
        event_id=f"{name}.deleted.1",
        at=rfc3339(utc_now()),
        letter_id=name,
        receipt_id=name[:26],
        address=ANN,
        mailbox="INBOX",
        reason="user",
        forward_was="pending",
    )
    return Message("deleted", name, event.to_json(), 0)


async def _publish(desk: Desk, records: list[Receipt], events: list[Message]) -> None:
    producer = Producer(desk.settings, "test")
    await producer.start()
    await until(lambda: _connected(producer), within=20)
    raws = [
        Message("received", r.facts.receipt_id, r.raw, r.partition, [("facts", r.facts.to_json())]) for r in records
    ]
    await producer.publish_all([*raws, *events], within_seconds=20)
    await producer.stop()


async def _connected(producer: Producer) -> bool:
    return producer.connected


async def _consume(desk: Desk, expected: int) -> None:
    """As the store does, until so many letters or gravestones are in the database and the position is noted."""
    positions, stop = Positions(desk.room.database), asyncio.Event()
    restored = Restored(
        desk.settings, positions, desk.room.removal, desk.room.claims, Folders(desk.room.database), desk.clock
    )
    producer = Producer(desk.settings, "test")
    await producer.start()
    consumer: Consumer[Receipt] = Consumer(
        desk.settings,
        producer,
        service="store",
        topics=["received"],
        decode=decode,
        handle=desk.intake.take_in,
        passing=(MailboxUnavailable,),
        assigned=lambda partitions: restored.check(consumer, partitions),
    )
    running = asyncio.ensure_future(consumer.run(stop))

    async def taken_in() -> bool:
        noted = await positions.noted()
        return sum(offset for offset, _ in noted.values()) >= expected

    await until(taken_in, within=60)
    # The commit comes right behind the effect.
    await asyncio.sleep(0.5)
    stop.set()
    await running
    await producer.stop()


async def _forget_everything(desk: Desk) -> None:
    """A backup from before any letter came."""
    for collection in ("letters", "bodies", "positions"):
        await desk.room.database[collection].delete_many({})


async def test_13_what_was_received_comes_back_and_what_has_left_does_not(desk: Desk) -> None:
    records = [receipt(partition=0) for _ in range(30)]
    names = [letter_id(record.facts.receipt_id, ANN) for record in records]
    await _publish(desk, records, [])
    await _consume(desk, 30)
    await _publish(desk, [], [*map(_forwarded, names[:10]), *map(_deleted, names[10:20])])
    await _forget_everything(desk)
    await _consume(desk, 30)
    documents = {d["_id"]: d async for d in desk.room.database["letters"].find({})}
    assert [("gone" in documents[name]) for name in names] == [True] * 20 + [False] * 10
    assert {documents[name]["forward"]["state"] for name in names[20:]} == {"pending"}
    assert await desk.room.database["bodies"].count_documents({}) == 10


async def test_13_a_letter_that_waits_again_is_not_sent_again_once_the_topics_say_it_was(desk: Desk) -> None:
    records = [receipt(partition=0) for _ in range(3)]
    names = [letter_id(record.facts.receipt_id, ANN) for record in records]
    await _publish(desk, records[:2], [])
    await _consume(desk, 2)
    backup = {c: [d async for d in desk.room.database[c].find({})] for c in ("letters", "bodies", "positions")}
    await _publish(desk, records[2:], [_forwarded(names[0]), _deleted(names[1])])
    await _consume(desk, 3)
    await _forget_everything(desk)
    for collection, documents in backup.items():
        await desk.room.database[collection].insert_many(documents)
    await _consume(desk, 3)
    assert [await desk.room.state(name) for name in names] == ["forwarded", "cancelled", "pending"]


async def test_12_letters_filed_under_an_older_target_are_filed_again(desk: Desk) -> None:
    ann = await desk.users.get(ANN)
    assert ann is not None
    await desk.intake.take_in([record := receipt()])
    name = letter_id(record.facts.receipt_id, ANN)
    await desk.room.database["letters"].update_one({"_id": name}, {"$set": {"forward.destination": "old.test:25"}})
    await desk.room.database["users"].update_one({"_id": ANN}, {"$set": {"retargeted_at": ann.created_at}})
    refile = Refile(desk.users, Destinations(desk.room.database), desk.clock)
    assert await refile.sweep() == 1
    assert (await desk.room.now(name))["forward"]["destination"] == "main.test:25"
    assert await refile.sweep() == 0
    assert (await desk.users.get(ANN)) == ann
