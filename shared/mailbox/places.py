"""A letter's place in a folder, as updates speak of it: its number there, and what is left behind when it goes.

A letter in a folder either has no number yet, {unnumbered: token}, or one, {folder_id, uid, modseq}. One that goes
leaves `left: [{folder, uid}]` in the same write: whoever next brings that folder up to date makes a tombstone of it.
One that changes for readers by itself, because its forward got on, is marked `stirred`. Without a number nobody has
seen it, so neither is written: most letters are gone before anybody looks, and cost nothing here.
"""

from datetime import datetime
from typing import Any

# Of letters that have come by mail. What is filed later has a token of its own, so that one who writes numbers late
# cannot number what has gone and come back (design rule 16).
ARRIVED = "arrived"

_IS_NUMBERED = {"$gt": ["$uid", None]}


def leaving(*, when: Any = True) -> dict[str, Any]:
    """Fields for an update's `$set` stage: the letter goes out of its folder, where the expression `when` holds."""
    place = {"folder": "$folder_id", "uid": "$uid"}
    left = {"$concatArrays": [{"$ifNull": ["$left", []]}, [place]]}
    goes = {name: _unless(when, name) for name in ("unnumbered", "folder_id", "uid", "modseq", "stirred")}
    return {"left": {"$cond": [{"$and": [when, _IS_NUMBERED]}, left, "$left"]}, **goes}


def _unless(when: Any, name: str) -> Any:
    return "$$REMOVE" if when is True else {"$cond": [when, "$$REMOVE", f"${name}"]}


def stirring(now: datetime) -> dict[str, Any]:
    """Fields for an update's `$set` stage: readers may see the letter differently from now on."""
    return {"stirred": {"$cond": [_IS_NUMBERED, now, "$stirred"]}}


def filing(folder: str, token: str) -> dict[str, Any]:
    """Fields for an update's `$set` stage: the letter stands in `folder`, to be numbered there."""
    return {"folder": folder, "unnumbered": token}
