"""A letter's place in a folder, as updates speak of it: its number there, and what is left behind when it goes.

A letter in a folder either has no number yet, {unnumbered: token}, or one, {folder_id, uid, modseq}. One that goes
leaves `left: [{folder, uid}]` in the same write: whoever next brings that folder up to date makes a tombstone of it.
One that changes for readers by itself, because its forward got on, is marked `stirred`. Without a number nobody has
seen it, so neither is written: most letters are gone before anybody looks, and cost nothing here.

`news` names the folders that have something to do with the letter: by address and name where it has no number, by id
where it left or stirred. One index over it finds all three, for each index makes every move of every letter dearer.
"""

from datetime import datetime
from typing import Any

# Of letters that have come by mail. What is filed later has a token of its own, so that one who writes numbers late
# cannot number what has gone and come back (design rule 16).
ARRIVED = "arrived"

_IS_NUMBERED = {"$gt": ["$uid", None]}
_NEWS = {"$ifNull": ["$news", []]}


def arrival(address: str, folder: str) -> str:
    """What `news` says of a letter without a number."""
    return f"{address}/{folder}"


def unnumbered(address: str, folder: str, token: str = ARRIVED) -> dict[str, Any]:
    """Fields of a new letter in a folder."""
    return {"unnumbered": token, "news": [arrival(address, folder)]}


def leaving(*, when: Any = True) -> dict[str, Any]:
    """Fields for an update's `$set` stage: the letter goes out of its folder, where the expression `when` holds."""
    place = {"folder": "$folder_id", "uid": "$uid"}
    left = {"$concatArrays": [{"$ifNull": ["$left", []]}, [place]]}
    goes = {name: _where(when, "$$REMOVE", name) for name in ("unnumbered", "folder_id", "uid", "modseq", "stirred")}
    return {
        "left": {"$cond": [{"$and": [when, _IS_NUMBERED]}, left, "$left"]},
        "news": _where(when, _or_nothing(_news_of_one_that_left()), "news"),
        **goes,
    }


def filing(address: str, folder: str, token: str) -> dict[str, Any]:
    """As `leaving`, and the letter stands in `folder`, to be numbered there."""
    news = {"$setUnion": [_news_of_one_that_left(), [arrival(address, folder)]]}
    return {**leaving(), "folder": folder, "unnumbered": token, "news": news}


def stirring(now: datetime) -> dict[str, Any]:
    """Fields for an update's `$set` stage: readers may see the letter differently from now on."""
    return {
        "stirred": {"$cond": [_IS_NUMBERED, now, "$stirred"]},
        "news": {"$cond": [_IS_NUMBERED, {"$setUnion": [_NEWS, ["$folder_id"]]}, "$news"]},
    }


def numbered(folder_id: str, uid: Any, modseq: int, arrived: str) -> dict[str, Any]:
    """Fields for an update's `$set` stage: the letter has its number. `arrived` is what its news was."""
    return {
        "folder_id": folder_id,
        "uid": uid,
        "modseq": modseq,
        "unnumbered": "$$REMOVE",
        "news": _or_nothing({"$setDifference": [_NEWS, [arrived]]}),
    }


def told(folder_id: str) -> dict[str, Any]:
    """Fields for a `$set` stage behind the one that took marks off: the folder has no news of the letter any more,
    unless another mark says so."""
    stirs = {"$and": [{"$eq": ["$folder_id", folder_id]}, {"$ne": [{"$type": "$stirred"}, "missing"]}]}
    still = {"$or": [{"$in": [folder_id, {"$ifNull": ["$left.folder", []]}]}, stirs]}
    return {"news": {"$cond": [still, "$news", _or_nothing({"$setDifference": [_NEWS, [folder_id]]})]}}


def _news_of_one_that_left() -> dict[str, Any]:
    others = {"$setDifference": [_NEWS, [{"$concat": ["$address", "/", "$folder"]}]]}
    return {"$cond": [_IS_NUMBERED, {"$setUnion": [others, ["$folder_id"]]}, others]}


def _or_nothing(news: dict[str, Any]) -> dict[str, Any]:
    """An empty list would stand in the index, too."""
    return {"$cond": [{"$eq": [news, []]}, "$$REMOVE", news]}


def _where(when: Any, value: Any, name: str) -> Any:
    return value if when is True else {"$cond": [when, value, f"${name}"]}
