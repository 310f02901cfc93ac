"""Destinations and the status, as administrators see them."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

from shared import ops
from shared.destination import Change, Health
from shared.mailbox.health import HealthOfDestinations, Heard
from shared.moments import rfc3339
from tests.store.web.conftest import Door


async def test_each_destination_is_listed_with_what_waits_for_it(door: Door) -> None:
    for number, server in enumerate(("b.test:26", "a.test", "[2001:db8::1]:587", "quiet.test")):
        await door.add_user(f"d{number}@example.test", target_server=server)
    await door.add_letter("d0@example.test", destination="b.test:26")
    await door.add_letter("d0@example.test", destination="b.test:26", change={"state": "deferred"})
    claim = {"by": "f", "token": "t", "at": door.clock.now()}
    flying = await door.add_letter(
        "d1@example.test", destination="a.test:25", change={"state": "in_flight", "claim": claim}
    )
    await door.database["letters"].update_one({"_id": flying}, {"$unset": {"forward.due": ""}})
    health, now = HealthOfDestinations(door.database), door.clock.now()
    before = await health.get("b.test:26")
    failing_now = replace(before, health=Health.FAILING, since=now)
    assert await health.replace(before, failing_now, now, Change(now, Health.FAILING, "connection refused"))
    await health.note_heard({"b.test:26": Heard(0, "connection refused", now), "a.test:25": Heard(250, "ok", now)})

    items = (await door.admin.get("/destinations")).json()["items"]
    found = {item["name"]: item for item in items}
    assert list(found) == sorted(found)
    assert {"[2001:db8::1]:587", "a.test:25", "b.test:26", "quiet.test:25"} <= set(found)
    failing = found["b.test:26"]
    assert failing.pop("oldest_waiting_seconds") >= 0
    assert failing.pop("last_reply").items() >= {"code": 0, "text": "connection refused"}.items()
    assert failing == {
        "name": "b.test:26",
        "state": "failing",
        "suspended_by": None,
        "since": rfc3339(now),
        "waiting": 2,
        "in_flight": 0,
        "connections": 0,
        "next_probe_at": None,
        "history": [{"at": rfc3339(now), "state": "failing", "why": "connection refused", "by": None}],
    }
    assert (found["a.test:25"]["state"], found["a.test:25"]["in_flight"], found["a.test:25"]["waiting"]) == ("up", 1, 0)
    quiet = found["quiet.test:25"]
    assert (quiet["state"], quiet["oldest_waiting_seconds"], quiet["last_reply"]) == ("up", 0, None)


async def test_one_destination_is_shown_by_its_name(door: Door) -> None:
    await door.add_user("one@example.test", target_server="[2001:db8::2]:587")
    answer = await door.admin.get(f"/destinations/{quote('[2001:DB8::2]:587', safe='')}")
    assert answer.json()["name"] == "[2001:db8::2]:587"
    assert (await door.admin.get("/destinations/nowhere.test:25")).status_code == 404


async def test_destinations_are_listed_page_by_page(door: Door) -> None:
    for number in range(3):
        await door.add_user(f"p{number}@example.test", target_server=f"page{number}.test")
    seen: list[str] = []
    parameters: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await door.admin.get("/destinations", params=parameters)).json()
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        parameters["after"] = page["next"]
    everything = (await door.admin.get("/destinations", params={"limit": 500})).json()["items"]
    assert seen == [item["name"] for item in everything]


async def test_the_status_counts_what_waits_and_asks_the_services(door: Door) -> None:
    before = (await door.admin.get("/status")).json()
    assert before["services"] == {}
    await door.add_user("status@example.test", target_server="status.test")
    now = door.clock.now()
    letter = await door.add_letter("status@example.test", destination="status.test:25")
    await door.database["letters"].update_one({"_id": letter}, {"$set": {"received_at": now - timedelta(hours=1)}})
    await door.add_letter("status@example.test", destination="status.test:25", change={"state": "parked"})
    async with ops.serve("127.0.0.1", 0, live=lambda: True, ready=lambda: True) as good:
        async with ops.serve("127.0.0.1", 0, live=lambda: "stuck", ready=lambda: True) as bad:
            named = (
                f"store=127.0.0.1:{good},forwarder=127.0.0.1:{good},forwarder=127.0.0.1:{good},pruner=127.0.0.1:{bad}"
            )
            door.settings.services = f"{named}, ingest=localhost:1"
            status = (await door.admin.get("/status")).json()
    door.settings.services = ""
    assert status["services"] == {
        "store": {"up": True, "instances": 1},
        "forwarder": {"up": True, "instances": 2},
        "pruner": {"up": False, "instances": 0},
        "ingest": {"up": False, "instances": 0},
    }
    assert status["ok"] is False
    assert (status["kafka"], status["mongodb"]) == ({"up": True}, {"up": True})
    assert status["waiting"] >= before["waiting"] + 1
    assert 3600 <= status["oldest_waiting_seconds"] < 3700
    assert (status["parked"], status["runs_waiting"]) == (before["parked"] + 1, 0)
    assert set(status["destinations"]) == {"up", "failing", "down", "recovering", "suspended"}
    assert before["ok"] is True
