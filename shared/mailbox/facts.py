"""A letter's document -> the event that tells of it. The event's id is derived, so that telling it twice is known."""

from datetime import datetime
from typing import Any

from shared.events import Deleted, Event, Forwarded, Stored
from shared.letter import event_id
from shared.mailbox.letters import Letter
from shared.moments import rfc3339


def stored(letter: Letter, cause: str, at: datetime) -> Stored:
    """The letter is in its mailbox, or armed again."""
    forward = letter["forward"]
    return Stored(
        event_id=event_id(letter["_id"], "stored", forward["arming"]),
        at=rfc3339(at),
        letter_id=letter["_id"],
        receipt_id=letter["receipt_id"],
        address=letter["address"],
        mailbox=letter["folder"],
        size=letter["size"],
        mode=letter["mode"],
        destination=forward.get("destination"),
        cause=cause,
        arming=forward["arming"],
    )


def deleted(letter: Letter, number: int, at: datetime, fields: dict[str, Any]) -> Deleted:
    """The letter left its mailbox: its removal `number`; `fields` are mailbox, reason, forward_was, rule_id."""
    return Deleted(
        event_id=event_id(letter["_id"], "deleted", number),
        at=rfc3339(at),
        letter_id=letter["_id"],
        receipt_id=letter["receipt_id"],
        address=letter["address"],
        mailbox=fields["mailbox"],
        reason=fields["reason"],
        forward_was=fields["forward_was"],
        rule_id=fields.get("rule_id"),
    )


def copy_removed(letter: Letter) -> Deleted:
    """The forwarded letter's local copy was taken away."""
    binned = letter["binned"]
    fields = {"mailbox": letter["folder"], "reason": binned["reason"], "forward_was": binned["forward_was"]}
    return deleted(letter, letter["removals"], binned["at"], fields)


def delivered(letter: Letter) -> Forwarded:
    """The main server has the letter."""
    forward = letter["forward"]
    return _forwarded(letter, "delivered", forward["arming"], forward["forwarded_at"], forward["last"])


def _forwarded(letter: Letter, outcome: str, number: int, at: datetime, last: dict[str, Any]) -> Forwarded:
    forward = letter["forward"]
    return Forwarded(
        event_id=event_id(letter["_id"], "forwarded", number),
        at=rfc3339(at),
        letter_id=letter["_id"],
        receipt_id=letter["receipt_id"],
        address=letter["address"],
        destination=forward["destination"],
        outcome=outcome,
        reply={"code": last["code"], "text": last["text"]},
        attempts=forward["attempts"],
        seconds_waited=round((at - forward["armed_at"]).total_seconds(), 3),
        arming=number,
    )


def of_mark(letter: Letter, mark: dict[str, Any]) -> Event:
    """The event that the mark of an unannounced move stands for."""
    match mark["kind"]:
        case "deleted":
            return deleted(letter, mark["number"], mark["at"], mark["fields"])
        case "forwarded":
            return _forwarded(letter, "parked", mark["number"], mark["at"], mark["fields"])
        case "stored":
            return stored(letter, mark["fields"]["cause"], mark["at"])
    raise ValueError(f"no event is called {mark['kind']}")
