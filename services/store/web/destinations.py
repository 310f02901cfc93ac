"""Destinations: what waits for which main server, and what it was last heard to say."""

from collections import Counter
from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from services.store.mailbox import NotThere
from services.store.web import shown
from services.store.web.auth import Administrator, Work
from services.store.web.paging import Paged, cursor
from services.store.web.parts import Parts
from services.store.web.shown import ShownDestination
from shared.mailbox.destinations import Destinations
from shared.mailbox.users import Users

router = APIRouter(tags=["destinations"])

STATES = ("up", "failing", "down", "recovering", "suspended")


class DestinationPage(BaseModel):
    items: list[ShownDestination]
    next: str | None


@router.get("/destinations")
async def list_destinations(_: Administrator, work: Work, page: Paged) -> DestinationPage:
    """Every main server that some user has, or that something waits for, by name."""
    found = [one for one in await all_destinations(work) if one.name > (page.after or "")]
    shown_now = found[: page.limit]
    following = shown_now[-1].name if len(found) > page.limit else None
    return DestinationPage(items=shown_now, next=cursor(following))


@router.get("/destinations/{name}")
async def get_destination(_: Administrator, work: Work, name: str) -> ShownDestination:
    """One main server; `name` is host:port, IPv6 in brackets."""
    for destination in await all_destinations(work):
        if destination.name == name.lower():
            return destination
    raise NotThere


async def all_destinations(work: Parts) -> list[ShownDestination]:
    destinations, now = Destinations(work.database), work.clock.now()
    waiting = {one.destination: one for one in await destinations.waiting()}
    in_flight, noted = await destinations.in_flight(), await destinations.noted()
    names = {*await Users(work.database).destinations(), *waiting, *in_flight}
    return [
        ShownDestination(
            name=name,
            state="up" if noted.get(name, {}).get("answers", True) else "failing",
            waiting=waiting[name].letters if name in waiting else 0,
            in_flight=in_flight.get(name, 0),
            oldest_waiting_seconds=_age(waiting[name].oldest_at, now) if name in waiting else 0,
            last_reply=shown.reply(noted.get(name, {}).get("last_reply")),
        )
        for name in sorted(names)
    ]


def by_state(found: list[ShownDestination]) -> dict[str, int]:
    """How many are in each state."""
    return {**dict.fromkeys(STATES, 0), **Counter(one.state for one in found)}


def _age(moment: datetime, now: datetime) -> float:
    return round(max(0.0, (now - moment).total_seconds()), 3)
