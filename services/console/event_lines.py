"""What `understudy events` prints: the topics as they are written, read from Kafka itself."""

from collections.abc import Iterable
from typing import Any

import orjson

from services.console.topics import no_broker
from shared.bus.consumer import Record
from shared.bus.producer import BusUnavailable
from shared.bus.tail import Positions, Tail
from shared.letter import letter_id
from shared.settings import Common

# What stands in a line besides topic, time, address and letter.
_DETAILS = (
    "mailbox",
    "sender",
    "size",
    "mode",
    "destination",
    "cause",
    "reason",
    "forward_was",
    "outcome",
    "attempts",
    "seconds_waited",
)


async def watch(
    settings: Common,
    topics: list[str],
    *,
    letter: str | None,
    address: str | None,
    from_beginning: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Print events until all that is kept is printed, or with `follow` for ever. Raises Refused."""
    try:
        async with Tail(settings, topics) as tail:
            positions = await (tail.from_beginning() if from_beginning else tail.from_end())
            goal = None if follow else await tail.ends()
            if goal is not None and _has_reached(positions, goal):
                return
            async for records in tail.batches(wait_seconds=0.2):
                # Of several partitions: by the time at which the broker took them.
                for record in sorted(records, key=lambda record: record.timestamp_ms):
                    _print(record, letter, address, as_json)
                _move(positions, records)
                if goal is not None and _has_reached(positions, goal):
                    return
    except BusUnavailable as error:
        raise no_broker(settings, error) from None


def _has_reached(positions: Positions, goal: Positions) -> bool:
    return all(positions[topic][number] >= end for topic, ends in goal.items() for number, end in ends.items())


def _move(positions: Positions, records: Iterable[Record]) -> None:
    for record in records:
        positions[record.topic][record.partition] = record.offset + 1


def _print(record: Record, letter: str | None, address: str | None, as_json: bool) -> None:
    facts = _facts(record)
    if facts is None or not _is_wanted(facts, letter, address):
        return
    if as_json:
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        line = orjson.dumps({**place, **facts}).decode()
    else:
        line = _in_words(record.topic, facts)
    print(line, flush=True)


def _facts(record: Record) -> dict[str, Any] | None:
    """Of `received` the header: the value is the letter itself. None: no event of ours."""
    data = record.headers.get("facts") if record.topic == "received" else record.value
    try:
        facts = orjson.loads(data or b"")
    except orjson.JSONDecodeError:
        return None
    return facts if isinstance(facts, dict) else None


def _is_wanted(facts: dict[str, Any], letter: str | None, address: str | None) -> bool:
    addresses = facts.get("recipients", [facts.get("address")])
    if address is not None and address not in addresses:
        return False
    if letter is None or facts.get("letter_id") == letter:
        return True
    receipt = str(facts.get("receipt_id"))
    return "letter_id" not in facts and any(letter_id(receipt, one) == letter for one in addresses)


def _in_words(topic: str, facts: dict[str, Any]) -> str:
    whose = facts.get("address") or ",".join(facts.get("recipients", []))
    details = [f"{name}={facts[name]}" for name in _DETAILS if facts.get(name) is not None]
    if reply := facts.get("reply"):
        details.append(f"reply={reply.get('code')} {reply.get('text')}")
    name = facts.get("letter_id") or facts.get("receipt_id")
    # A reply is the main server's word: no control character of it may reach a terminal.
    words = f"{facts.get('at')} {topic:<9} {whose}  {name}  {' '.join(details)}"
    return "".join(letter if letter.isprintable() else " " for letter in words)
