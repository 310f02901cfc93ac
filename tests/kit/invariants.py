"""What holds of the database after every test: documents agree with each other and with the table of states."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from shared.letter import UNFINISHED, State
from shared.mailbox.connect import Database

WAITING = {State.PENDING, State.DEFERRED}
# A letter that stands still: no claim, no clock, nothing owed.
UNDER_WAY: dict[str, dict[str, Any]] = {
    "waiting or in flight": {"forward.state": {"$in": [State.PENDING, State.DEFERRED, State.IN_FLIGHT]}},
    "copy to be taken away": {"copy_due": {"$exists": True}},
    "event to be told": {"unannounced_since": {"$exists": True}},
    "body to be released": {"gone.holds_body": True},
}


async def unfinished(database: Database) -> str:
    """What is under way, in words; empty when nothing is."""
    found = []
    expired = {"binned.expires_at": {"$lte": datetime.now(UTC)}, "forward.state": {"$nin": list(UNFINISHED)}}
    for words, query in (UNDER_WAY | {"expired in the bin": expired}).items():
        number = await database["letters"].count_documents(query)
        if number:
            found.append(f"{number} {words}")
    return ", ".join(found)


async def faults(database: Database, *, is_idle: bool) -> list[str]:
    """Every contradiction, as a line. `is_idle`: the test has waited until nothing was under way."""
    # One moment for all collections: read one after the other, a purge in between looks like a contradiction.
    async with await database.client.start_session(snapshot=True) as moment:
        all_letters = database["letters"].find({}, session=moment)
        letters = {document["_id"]: document async for document in all_letters}
        all_bodies = database["bodies"].find({}, {"letters": 1, "file": 1}, session=moment)
        bodies = {document["_id"]: document async for document in all_bodies}
        found = [f"{name}: {fault}" for name, letter in letters.items() for fault in _letter_faults(letter)]
        found += _body_faults(letters, bodies, is_idle=is_idle)
        found += await _file_faults(database, bodies, moment)
    if is_idle:
        found += [words for words in [await _claims_left(database)] if words]
    return found


async def _claims_left(database: Database) -> str:
    number = await database["letters"].count_documents({"$or": [q for w, q in UNDER_WAY.items() if "waiting" not in w]})
    claims = await database["letters"].count_documents({"forward.state": State.IN_FLIGHT})
    return f"{number} letters owe something and {claims} claims are left" if number or claims else ""


def _letter_faults(letter: dict[str, Any]) -> Iterator[str]:
    if "gone" in letter:
        if set(letter) - {"left", "news"} != {"_id", "gone"}:
            yield f"a gravestone with {sorted(letter)}"
        return
    forward = letter["forward"]
    state = forward["state"]
    wrong = {
        "due": ("due" in forward) != (state in WAITING),
        "claim": ("claim" in forward) != (state == State.IN_FLIGHT),
        "wish": "wish" in forward and state != State.IN_FLIGHT,
        "forwarded_at": state == State.FORWARDED and "forwarded_at" not in forward,
        "destination": (forward["arming"] > 0) != bool(forward.get("destination")),
        "arming": (forward["arming"] > 0) != (state != State.NONE),
        "attempts": forward["attempts"] < 0 or (state == State.IN_FLIGHT and forward["attempts"] < 1),
        "copy_due": "copy_due" in letter and state != State.FORWARDED,
        "notice_due": "notice_due" in letter and (state != State.PARKED or "binned" in letter or not letter["sender"]),
        "notice": "notice" in letter and (letter["sender"] or letter["folder"] or "notice_due" in letter),
        "unannounced": bool(letter.get("unannounced")) != ("unannounced_since" in letter),
        "binned": "binned" in letter and set(letter["binned"]) != {"reason", "at", "expires_at", "forward_was"},
        "removals": "binned" in letter and letter["removals"] < 1,
        "cancelled": state == State.CANCELLED and "binned" not in letter and letter["folder"] not in (None, "Trash"),
        "number": len({"folder_id", "uid", "modseq"} & set(letter)) not in (0, 3),
        "place": ("uid" in letter or "unnumbered" in letter)
        != ("binned" not in letter and letter["folder"] is not None),
        "numbered": "uid" in letter and "unnumbered" in letter,
        "stirred": "stirred" in letter and "uid" not in letter,
        "news": set(letter.get("news", ())) != _news(letter) or letter.get("news") == [],
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            yield f"{name} does not go with state {state}: {_told(letter)}"


def _news(letter: dict[str, Any]) -> set[str]:
    """Which folders have something to do with a letter."""
    folders = {place["folder"] for place in letter.get("left", ())}
    if "unnumbered" in letter:
        folders.add(f"{letter['address']}/{letter['folder']}")
    return folders | ({letter["folder_id"]} if "stirred" in letter else set())


def _told(letter: dict[str, Any]) -> str:
    return str({name: value for name, value in letter.items() if name not in ("summary", "spam", "sender")})


def _body_faults(letters: dict[str, Any], bodies: dict[str, Any], *, is_idle: bool) -> Iterator[str]:
    """A body for each letter, that lists it; and for each body only letters that are."""
    for name, letter in letters.items():
        if "gone" not in letter and name not in bodies.get(letter["receipt_id"], {}).get("letters", []):
            yield f"{name}: its body is missing or does not list it"
    for receipt, body in bodies.items():
        strangers = [name for name in body["letters"] if name not in letters]
        dead = [name for name in body["letters"] if "gone" in letters.get(name, {})]
        if strangers and is_idle:
            yield f"body {receipt} lists {strangers}, which are no letters"
        if [name for name in dead if "holds_body" not in letters[name]["gone"]]:
            yield f"body {receipt} lists {dead}, which are gone and released"
        if not body["letters"]:
            yield f"body {receipt} is used by no letter"


async def _file_faults(database: Database, bodies: dict[str, Any], moment: Any) -> list[str]:
    used = {body["file"] for body in bodies.values() if "file" in body}
    files = {document["_id"] async for document in database["large.files"].find({}, {"_id": 1}, session=moment)}
    chunks = set(await database["large.chunks"].distinct("files_id", session=moment))
    found = [f"file {file} is not there, and a body points to it" for file in used - files]
    found += [f"chunks of {file} belong to no file" for file in chunks - files]
    return found
