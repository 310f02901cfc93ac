"""Is everything well? Told in one answer, whatever is not."""

import asyncio
import socket
from typing import Any

import httpx
from fastapi import APIRouter
from pydantic import BaseModel

from services.store.web.auth import Administrator, Work
from services.store.web.destinations import all_destinations, by_state
from services.store.web.parts import Parts, ops_ports
from shared.bus import broker
from shared.mailbox.connect import MailboxUnavailable, ping
from shared.mailbox.destinations import Destinations

router = APIRouter(tags=["status"])

KAFKA_SECONDS = 3.0


class ServiceState(BaseModel):
    up: bool
    instances: int


class Up(BaseModel):
    up: bool


class Status(BaseModel):
    """What needs the database is null where that is away."""

    ok: bool
    services: dict[str, ServiceState]
    kafka: Up
    mongodb: Up
    destinations: dict[str, int] | None
    waiting: int | None
    oldest_waiting_seconds: float | None
    parked: int | None
    runs_waiting: int | None


@router.get("/status")
async def get_status(_: Administrator, work: Work) -> Status:
    """The services, what they stand on, and how much waits."""
    services, has_kafka, letters = await asyncio.gather(
        _services(work), broker.answers(work.settings, within_seconds=KAFKA_SECONDS), _letters(work)
    )
    has_mongodb = letters is not None
    is_ok = has_kafka and has_mongodb and all(service.up for service in services.values())
    nothing_known = dict.fromkeys(("destinations", "waiting", "oldest_waiting_seconds", "parked", "runs_waiting"))
    fields: dict[str, Any] = letters if letters is not None else nothing_known
    return Status(ok=is_ok, services=services, kafka=Up(up=has_kafka), mongodb=Up(up=has_mongodb), **fields)


async def _letters(work: Parts) -> dict[str, Any] | None:
    """None: the database does not answer."""
    try:
        await ping(work.database)
        found = await all_destinations(work)
        return {
            "destinations": by_state(found),
            "waiting": sum(one.waiting for one in found),
            "oldest_waiting_seconds": max((one.oldest_waiting_seconds for one in found), default=0.0),
            "parked": await Destinations(work.database).parked(),
            "runs_waiting": 0,
        }
    except MailboxUnavailable:
        return None


async def _services(work: Parts) -> dict[str, ServiceState]:
    named = ops_ports(work.settings)
    live = await asyncio.gather(*[_live_instances(work, host, port) for _, host, port in named])
    states: dict[str, ServiceState] = {}
    for (name, _, _), instances in zip(named, live, strict=True):
        before = states[name].instances if name in states else 0
        states[name] = ServiceState(up=before + instances > 0, instances=before + instances)
    return states


async def _live_instances(work: Parts, host: str, port: int) -> int:
    """How many answer; in a cluster one name may stand for many."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return 0
    addresses = {str(one[4][0]) for one in found}
    return sum(await asyncio.gather(*[_is_live(work, address, port) for address in addresses]))


async def _is_live(work: Parts, address: str, port: int) -> bool:
    url = httpx.URL(scheme="http", host=address, port=port, path="/live")
    try:
        return (await work.http.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
