"""Which letters a sequence set means in a session. Pure."""

from array import array
from collections.abc import Sequence

from services.store.folders.view import Grip
from services.store.imap.answers import Bad
from services.store.imap.commands import STAR, Numbers


def uids_of(grip: Grip, numbers: Numbers, saved: Sequence[int], *, is_uid: bool) -> Sequence[int]:
    """The UIDs that are meant, rising. UIDs that are not there are passed over (RFC 9051 section 6.4.9).

    Raises:
        Bad: a number that no letter has (section 9, seq-number).
    """
    if numbers.is_saved:
        return [uid for uid in saved if grip.number(uid) is not None]
    if len(numbers.ranges) == 1:
        return _between(grip, *numbers.ranges[0], is_uid=is_uid)
    found: set[int] = set()
    for first, last in numbers.ranges:
        found.update(_between(grip, first, last, is_uid=is_uid))
    return sorted(found)


def _between(grip: Grip, first: int, last: int, *, is_uid: bool) -> Sequence[int]:
    if is_uid:
        highest = grip.uids[-1] if grip.uids else 0
        low, high = sorted((first if first != STAR else highest, last if last != STAR else highest))
        return grip.uids_between(low, high)
    count = len(grip)
    low, high = sorted((first if first != STAR else count, last if last != STAR else count))
    if high > count or low < 1:
        raise Bad("There is no message of that number")
    return grip.uids[low - 1 : high]


def common(ranges: Sequence[tuple[int, int]], known: Numbers | None) -> list[tuple[int, int]]:
    """What of rising `ranges` `known` names; all, where it names none."""
    if known is None:
        return list(ranges)
    highest = ranges[-1][1] if ranges else 0
    wanted = sorted(_rising(first or highest, last or highest) for first, last in known.ranges)
    found: list[tuple[int, int]] = []
    place = 0
    for first, last in ranges:
        while place < len(wanted) and wanted[place][1] < first:
            place += 1
        at = place
        while at < len(wanted) and wanted[at][0] <= last:
            found.append((max(first, wanted[at][0]), min(last, wanted[at][1])))
            at += 1
    return found


def _rising(first: int, last: int) -> tuple[int, int]:
    return (first, last) if first <= last else (last, first)


def ranges_within(known: Numbers | None, uids: Sequence[int]) -> Sequence[int]:
    """Those of rising `uids` that `known` names; all, where it names none (RFC 7162 section 3.2.5)."""
    if known is None:
        return uids
    highest = uids[-1] if uids else 0
    ranges = sorted(_rising(first or highest, last or highest) for first, last in known.ranges)
    found = array("I")
    place = 0
    for uid in uids:
        while place < len(ranges) and ranges[place][1] < uid:
            place += 1
        if place < len(ranges) and ranges[place][0] <= uid:
            found.append(uid)
    return found
