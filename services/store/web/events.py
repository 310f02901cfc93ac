"""The topics as a stream of server-sent events (HTML Standard, section 9.2)."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from services.store.mailbox import Person
from services.store.web.auth import AnyPerson, Work
from services.store.web.problems import NotAllowed
from services.store.web.watch import Heard, event_id, positions_of
from shared.bus.producer import BusUnavailable
from shared.bus.tail import Positions
from shared.events import TOPICS
from shared.letter import Mode
from shared.letter import letter_id as id_of_letter

router = APIRouter(tags=["events"])

COMMENT_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Match = Callable[[Heard], bool]
Items = AsyncGenerator[tuple[Heard | None, Positions], None]


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def watch_events(
    person: AnyPerson,
    work: Work,
    topic: Annotated[list[str] | None, Query(description="only these; all without it")] = None,
    address: Annotated[str | None, Query(description="only what concerns this mailbox")] = None,
    letter_id: Annotated[str | None, Query(description="only what concerns this letter")] = None,
    last_event_id: Annotated[str | None, Header(description="go on behind this event")] = None,
) -> StreamingResponse:
    """Events from now on, or from where `Last-Event-ID` was. Users watch their own mailbox: say `address`."""
    wanted = _wanted(person, topic, address, letter_id)
    if not person.is_administrator and (await work.accounts.get(person.name)).mode is Mode.FORWARD_ONLY:
        raise NotAllowed("what is only forwarded, administrators see")
    items = work.watch.follow(positions_of(last_event_id) if last_event_id else None)
    # With the first item the watch stands: only then are the headers sent.
    _, positions = await anext(items)
    return StreamingResponse(
        _stream(items, positions, wanted), media_type="text/event-stream; charset=utf-8", headers=_HEADERS
    )


def _wanted(person: Person, topics: list[str] | None, address: str | None, letter_id: str | None) -> Match:
    """Raises NotAllowed."""
    names = {name for given in topics or [] for name in given.split(",")} or set(TOPICS)
    mailbox = address.lower() if address else None
    if not person.is_administrator:
        if mailbox != person.name:
            raise NotAllowed("watch your own mailbox: ?address= with your address")
        # It names the other recipients; and what is in a mailbox, `stored` tells as well.
        names.discard("received")

    def match(heard: Heard) -> bool:
        return (
            heard.topic in names
            and (mailbox is None or _concerns_mailbox(heard, mailbox))
            and (letter_id is None or _concerns_letter(heard, letter_id))
            and (person.is_administrator or _is_readable(heard))
        )

    return match


def _concerns_mailbox(heard: Heard, address: str) -> bool:
    if heard.topic == "received":
        return address in heard.facts.get("recipients", [])
    return bool(heard.facts.get("address") == address)


def _concerns_letter(heard: Heard, letter_id: str) -> bool:
    if heard.topic != "received":
        return bool(heard.facts.get("letter_id") == letter_id)
    receipt_id = str(heard.facts.get("receipt_id"))
    return letter_id.startswith(receipt_id) and any(
        id_of_letter(receipt_id, address) == letter_id for address in heard.facts.get("recipients", [])
    )


def _is_readable(heard: Heard) -> bool:
    """Users see nothing of letters that are only forwarded."""
    return heard.topic == "forwarded" or heard.facts.get("mailbox") is not None


async def _stream(items: Items, positions: Positions, wanted: Match) -> AsyncIterator[bytes]:
    """Frames, each with its id: a client that comes back without having seen an event has one, too."""
    now = asyncio.get_running_loop().time
    yield _comment(positions)
    spoke_at = now()
    upcoming = asyncio.ensure_future(_next(items))
    try:
        while True:
            await asyncio.wait([upcoming], timeout=max(0.0, spoke_at + COMMENT_SECONDS - now()))
            frame = b""
            if upcoming.done():
                item = upcoming.result()
                if item is None:
                    return
                frame = _frame(*item, wanted)
            if not frame and now() - spoke_at >= COMMENT_SECONDS:
                frame = _comment(positions)
            if upcoming.done():
                # Only now: it moves the positions on.
                upcoming = asyncio.ensure_future(_next(items))
            if frame:
                yield frame
                spoke_at = now()
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, BusUnavailable):
            await upcoming
        await items.aclose()


async def _next(items: Items) -> tuple[Heard | None, Positions] | None:
    """None: it is over, or Kafka is; the client comes back with the last id."""
    with contextlib.suppress(StopAsyncIteration, BusUnavailable):
        return await anext(items)
    return None


def _frame(heard: Heard | None, positions: Positions, wanted: Match) -> bytes:
    if heard is None or not wanted(heard):
        return b""
    data = b"\n".join(b"data: " + line for line in heard.data.splitlines())
    return f"event: {heard.topic}\nid: {event_id(positions)}\n".encode() + data + b"\n\n"


def _comment(positions: Positions) -> bytes:
    return f": watching\nid: {event_id(positions)}\n\n".encode()
