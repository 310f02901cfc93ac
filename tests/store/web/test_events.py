"""The topics as server-sent events."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from services.store.web import events, watch
from shared.events import Received
from shared.letter import letter_id
from tests.kit.patience import until
from tests.store.web.conftest import Door, opened_door

_numbers = itertools.count(1)


class Stream:
    """What a client of the stream has seen."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.response = response
        self.last_id = ""

    async def frame(self) -> dict[str, str]:
        """The next frame; a comment's text is under the empty name."""
        found: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                break
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        self.last_id = found.get("id", self.last_id)
        return found

    async def event(self, within: float = 10) -> dict[str, Any]:
        """The next event: its JSON, with its topic."""
        async with asyncio.timeout(within):
            while True:
                frame = await self.frame()
                if not frame:
                    raise EOFError
                if "event" in frame:
                    facts: dict[str, Any] = orjson.loads(frame["data"])
                    return {"topic": frame["event"], **facts}


@contextlib.asynccontextmanager
async def watching(client: httpx.AsyncClient, last_id: str = "", **parameters: Any) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with client.stream("GET", "/events", params=parameters, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(response)


async def deleted(door: Door, address: str, **more: Any) -> str:
    letter = await door.add_letter(address, **more)
    await door.admin.delete(f"/letters/{letter}")
    return letter


async def receive(door: Door, *recipients: str, receipt: str = "") -> str:
    """Put a letter on the topic `received` as ingest does; returns the receipt's id."""
    receipt = receipt or f"01EVENT{next(_numbers):019d}"
    facts = Received(
        event_id=receipt,
        at="2026-01-01T00:00:00.000Z",
        receipt_id=receipt,
        received_at="2026-01-01T00:00:00.000Z",
        sender="",
        recipients=list(recipients),
        client={},
        size=4,
        spam=None,
    )
    await door.producer.publish(
        "received",
        key=receipt,
        value=b"secret letter",
        partition=0,
        headers=[("facts", facts.to_json())],
        within_seconds=10,
    )
    return receipt


async def test_events_are_live_once_the_headers_are_there(door: Door, ann: str) -> None:
    async with watching(door.admin) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        letter = await deleted(door, ann)
        event = await stream.event()
    assert (event["topic"], event["letter_id"], event["reason"], event["version"]) == ("deleted", letter, "admin", 1)


async def test_of_received_the_facts_are_told_and_not_the_letter(door: Door, ann: str) -> None:
    async with watching(door.admin) as stream:
        receipt = await receive(door, ann, "other@example.test")
        frame: dict[str, str] = {}
        while "event" not in frame:
            frame = await stream.frame()
    assert "secret" not in frame["data"]
    facts = orjson.loads(frame["data"])
    assert (frame["event"], facts["receipt_id"], facts["recipients"]) == (
        "received",
        receipt,
        [ann, "other@example.test"],
    )


async def test_filters_let_through_what_they_name(door: Door, ann: str) -> None:
    letter = await door.add_letter(ann)
    async with contextlib.AsyncExitStack() as stack:
        client = door.client(headers=door.admin.headers)

        async def watch_with(**parameters: Any) -> Stream:
            return await stack.enter_async_context(watching(client, **parameters))

        by_topic = await watch_with(topic="received")
        by_topics = await watch_with(topic=["stored", "deleted"])
        by_address = await watch_with(address=ann.upper())
        by_letter = await watch_with(letter_id=letter)
        receipt = await receive(door, "stranger@example.test")
        await deleted(door, "stranger@example.test")
        own_receipt = await receive(door, "stranger@example.test", ann)
        await door.admin.post(f"/letters/{letter}/forward-now")
        await door.admin.delete(f"/letters/{letter}")

        assert (await by_topic.event())["receipt_id"] == receipt
        assert (await by_topic.event())["receipt_id"] == own_receipt
        assert (await by_topics.event())["address"] == "stranger@example.test"
        mine = [await by_address.event() for _ in range(3)]
        assert {event["topic"] for event in mine} == {"received", "stored", "deleted"}
        assert sorted(event["topic"] for event in [await by_letter.event(), await by_letter.event()]) == [
            "deleted",
            "stored",
        ]


async def test_a_letters_filter_knows_the_receipt_that_it_came_with(door: Door, ann: str) -> None:
    receipt = f"01NAMED{next(_numbers):019d}"
    async with watching(door.admin, letter_id=letter_id(receipt, ann)) as stream:
        await receive(door, ann)
        await receive(door, "stranger@example.test", receipt=receipt)
        await receive(door, "stranger@example.test", ann, receipt=receipt)
        assert (await stream.event())["recipients"] == ["stranger@example.test", ann]


async def test_a_client_that_comes_back_goes_on_exactly_where_it_was(door: Door, ann: str) -> None:
    async with watching(door.admin, address=ann) as stream:
        first = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == first
        seen = stream.last_id
    missed = [await deleted(door, ann) for _ in range(30)]
    async with watching(door.admin, seen, address=ann) as stream:
        found = [(await stream.event())["letter_id"] for _ in missed]
        assert sorted(found) == sorted(missed)
        late = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == late
        middle = stream.last_id
    async with watching(door.admin, middle, address=ann) as stream:
        last = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == last


async def test_a_client_that_saw_nothing_yet_can_come_back_too(door: Door, ann: str) -> None:
    async with watching(door.admin) as stream:
        assert "" in await stream.frame()
        seen = stream.last_id
    missed = await deleted(door, ann)
    async with watching(door.admin, seen, address=ann) as stream:
        assert (await stream.event())["letter_id"] == missed


async def test_each_event_comes_once_while_a_client_catches_up_under_load(door: Door, ann: str) -> None:
    async with watching(door.admin) as stream:
        await stream.frame()
        seen = stream.last_id
    expected = [await deleted(door, ann) for _ in range(20)]

    async def go_on() -> list[str]:
        return [await deleted(door, ann) for _ in range(100)]

    working = asyncio.ensure_future(go_on())
    found: list[str] = []
    async with watching(door.admin, seen, address=ann) as stream:
        while len(found) < 120:
            found.append((await stream.event())["letter_id"])
    assert sorted(found) == sorted(expected + await working)


async def test_a_user_watches_his_own_readable_letters(door: Door, ann: str) -> None:
    own = door.user(ann)
    assert (await own.get("/events")).status_code == 403
    assert (await own.get("/events", params={"address": "other@example.test"})).status_code == 403
    async with watching(own, address=ann) as stream:
        await receive(door, ann, "hidden@example.test")
        await deleted(door, ann, folder=None)
        await deleted(door, "stranger@example.test")
        letter = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == letter


async def test_of_a_user_whose_mail_is_only_forwarded_administrators_watch(door: Door) -> None:
    await door.add_user("fo@example.test", mode="forward_only")
    answer = await door.user("fo@example.test").get("/events", params={"address": "fo@example.test"})
    assert answer.status_code == 403


@pytest.mark.parametrize("last_id", ["???", "AAAA", "AAAAAAAAA", "gICAgICAgICAgICAgICAgIA", "z" * 500])
async def test_an_id_that_is_none_is_refused(door: Door, last_id: str) -> None:
    answer = await door.admin.get("/events", headers={"Last-Event-ID": last_id})
    assert answer.status_code == 422


async def test_positions_beyond_what_is_kept_are_taken_as_its_ends(door: Door, ann: str) -> None:
    nowhere = watch.event_id({topic: dict.fromkeys(range(12), 10**9) for topic in watch._NAMES})
    async with watching(door.admin, nowhere, address=ann) as stream:
        letter = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == letter


async def test_a_quiet_stream_has_a_comment_now_and_then(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.2)
    async with watching(door.admin, letter_id="none") as stream:
        for _ in range(3):
            async with asyncio.timeout(2):
                assert "" in await stream.frame()
        assert stream.last_id


async def test_watchers_share_one_reader_which_ends_after_the_last(
    door: Door, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LINGER_SECONDS", 0.2)
    client = door.client(headers=door.admin.headers)
    parts = door.parts
    async with watching(client, address=ann), watching(client, address=ann):
        reader = parts.watch._reader
        assert reader is not None

    async def has_ended() -> bool:
        return reader.done()

    await until(has_ended, within=10)
    assert parts.watch._reader is None
    async with watching(client, address=ann) as stream:
        letter = await deleted(door, ann)
        assert (await stream.event())["letter_id"] == letter


async def test_streams_end_when_the_process_stops(door: Door) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with opened_door(door.scope, door.settings) as other:
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=other.base_url, trust_env=False))
            client.headers = door.admin.headers
            response = await stack.enter_async_context(client.stream("GET", "/api/v1/events"))
            stream = Stream(response)
            assert "" in await stream.frame()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 4
        assert await stream.frame() == {}


async def test_a_watcher_who_is_too_slow_is_cut() -> None:
    watcher = watch.Watcher(asyncio.Queue(2))
    heard = watch.Heard("deleted", 0, 0, b"{}", {})
    assert watcher.hear(heard)
    assert watcher.hear(heard)
    assert not watcher.hear(heard)
    watcher.cut()
    assert [item async for item in watch._queued(watcher)] == []


@pytest.mark.parametrize("numbers", [{}, {0: 0}, {0: 127, 1: 128, 2: 2**40}])
def test_an_event_id_is_its_positions(numbers: dict[int, int]) -> None:
    positions = dict.fromkeys(watch._NAMES, numbers)
    assert watch.positions_of(watch.event_id(positions)) == positions
