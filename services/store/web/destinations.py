"""Destinations: what waits for which main server, how it is, and what a person may do about it."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.store.mainservers import MainServer
from services.store.web import shown
from services.store.web.auth import Administrator, Work
from services.store.web.paging import Paged, cursor
from services.store.web.parts import Parts
from services.store.web.shown import ShownDestination
from shared.destination import Health

router = APIRouter(tags=["destinations"])


class DestinationPage(BaseModel):
    items: list[ShownDestination]
    next: str | None


class Hurried(BaseModel):
    letters: int


AlsoParked = Annotated[bool, Query(description="arm parked letters again, too")]


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
    return _shown(await work.main_servers.one(name), work)


@router.post("/destinations/{name}/probe")
async def probe(person: Administrator, work: Work, name: str) -> ShownDestination:
    """Ask it now whether it is there; answers when it has said so, or when it is plain that it does not."""
    return _shown(await work.main_servers.probe(person, name), work)


@router.post("/destinations/{name}/suspend")
async def suspend(person: Administrator, work: Work, name: str) -> ShownDestination:
    """Send nothing more to it; mail is received and kept. What is being sent at this moment is finished."""
    return _shown(await work.main_servers.suspend(person, name), work)


@router.post("/destinations/{name}/resume")
async def resume(person: Administrator, work: Work, name: str) -> ShownDestination:
    """End a suspension; all that waits is due now: one letter goes first, then all."""
    return _shown(await work.main_servers.resume(person, name), work)


@router.post("/destinations/{name}/drain")
async def drain(person: Administrator, work: Work, name: str) -> ShownDestination:
    """Try it now, whatever was known of it; all that waits is due now."""
    return _shown(await work.main_servers.drain(person, name), work)


@router.post("/destinations/{name}/forward-now")
async def forward_all_to(person: Administrator, work: Work, name: str, parked: AlsoParked = False) -> Hurried:
    """All that waits for it is due now, whatever the letters' own clocks say."""
    return Hurried(letters=await work.main_servers.forward_all_to(person, name, parked=parked))


@router.post("/users/{address}/forward-now")
async def forward_all_of_user(person: Administrator, work: Work, address: str, parked: AlsoParked = False) -> Hurried:
    """All of a user's letters that wait are due now."""
    return Hurried(letters=await work.main_servers.forward_all_of_user(person, address.lower(), parked=parked))


async def all_destinations(work: Parts) -> list[ShownDestination]:
    return [_shown(server, work) for server in await work.main_servers.all()]


def by_state(found: list[ShownDestination]) -> dict[str, int]:
    """How many are in each state."""
    return {**dict.fromkeys(map(str, Health), 0), **Counter(one.state for one in found)}


def _shown(server: MainServer, work: Parts) -> ShownDestination:
    told: dict[str, Any] = server.told
    return shown.destination(server.name, told, server, work.clock.now())
