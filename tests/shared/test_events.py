"""The four facts on the wire. The golden files are what consumers of other versions read: they may be added to only."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.events import TOPICS, Deleted, Event, EventError, Forwarded, Received, Stored

GOLDEN = Path(__file__).parent / "golden"
LETTER = "01M83JCAFY9ANXG9J9BKMT17FA-7RBB7EDRZEM7I2LH"
AT = "2026-03-01T12:00:00.000Z"

FACTS: dict[str, Event] = {
    "received": Received(
        event_id="01M83JCAFY9ANXG9J9BKMT17FA.received.0",
        at=AT,
        receipt_id="01M83JCAFY9ANXG9J9BKMT17FA",
        received_at=AT,
        sender="søren@elsewhere.test",
        recipients=["ann@example.test", "bob@example.test"],
        client={"address": "192.0.2.1", "name": None, "helo": "elsewhere.test", "tls": True, "authenticated_as": None},
        size=1234,
        spam={"verdict": "spam", "score": 7.5, "by": "rspamd"},
    ),
    "stored": Stored(
        event_id=f"{LETTER}.stored.1",
        at=AT,
        letter_id=LETTER,
        receipt_id="01M83JCAFY9ANXG9J9BKMT17FA",
        address="ann@example.test",
        mailbox="INBOX",
        size=1234,
        mode="store_and_forward",
        destination="main.example.test:25",
        cause="received",
        arming=1,
    ),
    "deleted": Deleted(
        event_id=f"{LETTER}.deleted.1",
        at=AT,
        letter_id=LETTER,
        receipt_id="01M83JCAFY9ANXG9J9BKMT17FA",
        address="ann@example.test",
        mailbox="INBOX",
        reason="user",
        forward_was="pending",
    ),
    "forwarded": Forwarded(
        event_id=f"{LETTER}.forwarded.1",
        at=AT,
        letter_id=LETTER,
        receipt_id="01M83JCAFY9ANXG9J9BKMT17FA",
        address="ann@example.test",
        destination="main.example.test:25",
        outcome="delivered",
        reply={"code": 250, "text": "2.0.0 Ok"},
        attempts=2,
        seconds_waited=12.5,
        arming=1,
    ),
}


def _golden(topic: str) -> bytes:
    return (GOLDEN / f"{topic}.json").read_bytes().strip()


def _changed(topic: str, **fields: Any) -> bytes:
    return orjson.dumps({**orjson.loads(_golden(topic)), **fields})


def test_every_topic_has_a_golden_fact() -> None:
    assert set(FACTS) == set(TOPICS) == {path.stem for path in GOLDEN.glob("*.json")}


@pytest.mark.parametrize("topic", FACTS)
def test_a_fact_is_written_as_its_golden_file_says(topic: str) -> None:
    assert FACTS[topic].to_json() == _golden(topic)


@pytest.mark.parametrize("topic", FACTS)
def test_a_fact_is_read_as_it_was_written(topic: str) -> None:
    assert TOPICS[topic].from_json(_golden(topic)) == FACTS[topic]


@pytest.mark.parametrize("topic", FACTS)
def test_unknown_fields_and_later_versions_are_read_by_what_is_known(topic: str) -> None:
    assert TOPICS[topic].from_json(_changed(topic, version=2, colour="blue")) == FACTS[topic]


@pytest.mark.parametrize(
    ("topic", "field"),
    [(topic, field) for topic in FACTS for field in orjson.loads(_golden(topic)) if field != "rule_id"],
)
def test_a_missing_field_is_an_error(topic: str, field: str) -> None:
    document = orjson.loads(_golden(topic))
    del document[field]
    with pytest.raises(EventError):
        TOPICS[topic].from_json(orjson.dumps(document))


@pytest.mark.parametrize("topic", FACTS)
@pytest.mark.parametrize("value", [True, [[1]], {"a": 1}, 1.5])
def test_a_field_of_the_wrong_kind_is_an_error(topic: str, value: Any) -> None:
    with pytest.raises(EventError):
        TOPICS[topic].from_json(_changed(topic, receipt_id=value))


@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe", b"[]", b"7", b"{}", b'{"version": 0}', b'{"version": "1"}'])
def test_what_is_no_fact_of_ours_is_an_error(data: bytes | None) -> None:
    with pytest.raises(EventError):
        Stored.from_json(data)


def test_recipients_that_are_not_text_are_an_error() -> None:
    with pytest.raises(EventError):
        Received.from_json(_changed("received", recipients=["ann@example.test", 7]))
