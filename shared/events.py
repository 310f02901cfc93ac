"""The four facts that the topics carry: frozen, versioned, to and from JSON.

Additive only: a reader ignores fields that it does not know; a field that it needs and that is missing is an error.
Every fact has `event_id`, derived from what happened, so that a fact told twice can be known as one (design rule 1).
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import orjson

VERSION = 1


class EventError(ValueError):
    """A record that is no fact of ours: not JSON, a field missing or of the wrong kind, a version from the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all facts have. `at` is RFC 3339 in UTC."""

    TOPIC: ClassVar[str] = ""

    event_id: str
    at: str

    def to_json(self) -> bytes:
        document: dict[str, Any] = {"version": VERSION}
        for name in _NAMES[type(self)]:
            document[name] = getattr(self, name)
        return orjson.dumps(document)

    @classmethod
    def from_json(cls, data: bytes | None) -> Self:
        """Raises EventError."""
        return cls(**_checked(cls, _object(data)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Event):
    """A letter was taken. The letter itself is the record's value; this is its header `facts`.

    `recipients` are the mailboxes' addresses; `client` is {address, name, helo, tls, authenticated_as};
    `spam` is {verdict, score, by} or None.
    """

    TOPIC: ClassVar[str] = "received"

    receipt_id: str
    received_at: str
    sender: str
    recipients: list[str]
    client: dict[str, Any]
    size: int
    spam: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Event):
    """A letter is in a mailbox, or was armed again. `mailbox` is the folder; None: kept to be forwarded, not read."""

    TOPIC: ClassVar[str] = "stored"

    letter_id: str
    receipt_id: str
    address: str
    mailbox: str | None
    size: int
    mode: str
    destination: str | None
    cause: str
    arming: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(Event):
    """A letter left a mailbox. `reason`: user, trash, pruned, forwarded or admin."""

    TOPIC: ClassVar[str] = "deleted"

    letter_id: str
    receipt_id: str
    address: str
    mailbox: str | None
    reason: str
    forward_was: str
    rule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Event):
    """The main server answered for good. `outcome`: delivered or parked; `reply` is {code, text}."""

    TOPIC: ClassVar[str] = "forwarded"

    letter_id: str
    receipt_id: str
    address: str
    destination: str
    outcome: str
    reply: dict[str, Any]
    attempts: int
    seconds_waited: float
    arming: int


TOPICS: dict[str, type[Event]] = {kind.TOPIC: kind for kind in (Received, Stored, Deleted, Forwarded)}

_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in TOPICS.values()}
_KINDS: dict[str, tuple[type, ...]] = {
    "size": (int,),
    "arming": (int,),
    "attempts": (int,),
    "seconds_waited": (int, float),
    "recipients": (list,),
    "client": (dict,),
    "reply": (dict,),
    "spam": (dict, type(None)),
    "mailbox": (str, type(None)),
    "destination": (str, type(None)),
    "rule_id": (str, type(None)),
}
_TEXT = (str,)
_OPTIONAL = frozenset({"rule_id"})


def _object(data: bytes | None) -> dict[str, Any]:
    if data is None:
        raise EventError("no JSON")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise EventError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise EventError("not a JSON object")
    version = document.get("version")
    if not isinstance(version, int) or version < 1:
        raise EventError("no version")
    return document


def _checked(kind: type[Event], document: dict[str, Any]) -> dict[str, Any]:
    """The fields of `kind` in `document`, each of its kind. A later version is read by what we know of it."""
    values: dict[str, Any] = {}
    for name in _NAMES[kind]:
        if name not in document:
            if name in _OPTIONAL:
                continue
            raise EventError(f"{kind.TOPIC}: {name} is missing")
        value = document[name]
        if not isinstance(value, _KINDS.get(name, _TEXT)) or value is True or value is False:
            raise EventError(f"{kind.TOPIC}: {name} is of the wrong kind")
        values[name] = value
    if "recipients" in values and not all(isinstance(address, str) for address in values["recipients"]):
        raise EventError(f"{kind.TOPIC}: recipients are not all text")
    return values
