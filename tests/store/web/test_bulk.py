"""Many users at once."""

import asyncio
from typing import Any

import httpx
import pytest

from services.store.bulk import MOST_ROWS
from tests.store.web.conftest import Door

HEADER = "address,password,mode,target_address,target_server\r\n"


async def send(door: Door, content: str | bytes, *, kind: str = "text/csv", **parameters: Any) -> httpx.Response:
    data = content.encode() if isinstance(content, str) else content
    return await door.admin.post("/users/bulk", content=data, headers={"Content-Type": kind}, params=parameters)


async def exist(door: Door, *addresses: str) -> list[bool]:
    answers = await asyncio.gather(*[door.admin.get(f"/users/{address}") for address in addresses])
    return [answer.status_code == 200 for answer in answers]


async def test_csv_makes_users_and_tells_of_each_row(door: Door) -> None:
    answer = await send(
        door,
        HEADER
        + 'One@bulk.test,"pass,""word""",store_and_forward,one@main.test,u:p@main.test:587\r\n'
        + "two@bulk.test,,store_only,,\r\n"
        + "\r\n"
        + "three@bulk.test,secret,,three@main.test,main.test:465\r\n"
        + "four@bulk.test,secret,store_only,,main.test\r\n"
        + "one@bulk.test,secret,store_only,,\r\n"
        + "five@bulk.test,secret\r\n"
        + "nobody,secret,store_only,,\r\n",
    )
    assert answer.status_code == 200
    result = answer.json()
    assert (result["ok"], result["refused"], result["next"]) == (2, 5, None)
    rows = result["items"]
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["ok"] for row in rows] == [True, True, False, False, False, False, False]
    assert rows[0] == {"row": 1, "address": "one@bulk.test", "ok": True, "error": None}
    whys = ["STARTTLS", "store_only has no target", "twice", "2 cells, 5 expected", "name@domain"]
    for row, why in zip(rows[2:], whys, strict=True):
        assert why in row["error"]
    assert await exist(door, "one@bulk.test", "two@bulk.test", "three@bulk.test") == [True, True, False]
    own = door.user("one@bulk.test", 'pass,"word"')
    assert (await own.get("/users/one@bulk.test")).json()["target_server"] == "u:***@main.test:587"


async def test_a_list_in_json_makes_users(door: Door) -> None:
    users = [
        {"address": "json1@bulk.test", "mode": "store_only", "pop3_delete": "hide"},
        {"address": "json2@bulk.test", "mode": "store_only", "quota": 1},
    ]
    answer = await door.admin.post("/users/bulk", json=users)
    assert [row["ok"] for row in answer.json()["items"]] == [True, False]
    assert "quota" in answer.json()["items"][1]["error"]
    assert (await door.admin.get("/users/json1@bulk.test")).json()["pop3_delete"] == "hide"


async def test_one_who_exists_is_refused_and_left_alone(door: Door, ann: str) -> None:
    before = (await door.admin.get(f"/users/{ann}")).json()
    answer = await send(door, HEADER + f"{ann},secret,store_only,,\n")
    assert answer.json()["items"][0]["error"] == "there is a user of that address"
    assert (await door.admin.get(f"/users/{ann}")).json() == before


async def test_a_dry_run_makes_nobody(door: Door, ann: str) -> None:
    content = HEADER + f"dry@bulk.test,secret,store_only,,\n{ann},secret,store_only,,\n"
    answer = await send(door, content, dry_run=True)
    assert (answer.json()["dry_run"], [row["ok"] for row in answer.json()["items"]]) == (True, [True, False])
    assert await exist(door, "dry@bulk.test") == [False]


async def test_all_or_none(door: Door, ann: str) -> None:
    content = HEADER + "atom1@bulk.test,secret,store_only,,\natom2@bulk.test,secret,store_only,,\n"
    refused = await send(door, content + f"{ann},secret,store_only,,\n", atomic=True)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert [row["ok"] for row in refused.json()["items"]] == [True, True, False]
    assert await exist(door, "atom1@bulk.test", "atom2@bulk.test") == [False, False]
    assert (await send(door, content, atomic=True)).status_code == 200
    assert await exist(door, "atom1@bulk.test", "atom2@bulk.test") == [True, True]


async def test_of_two_lists_at_the_same_time_one_makes_each_user(door: Door) -> None:
    content = HEADER + "".join(f"race{number}@bulk.test,,store_only,,\n" for number in range(20))
    answers = await asyncio.gather(*[send(door, content) for _ in range(3)])
    assert sum(answer.json()["ok"] for answer in answers) == 20


async def test_a_hundred_users_do_not_hold_the_others_up(door: Door, ann: str) -> None:
    content = HEADER + "".join(f"many{number}@bulk.test,secret{number},store_only,,\n" for number in range(100))
    working = asyncio.ensure_future(send(door, content))
    longest = 0.0
    while not working.done():
        began = asyncio.get_running_loop().time()
        await door.admin.get(f"/users/{ann}")
        longest = max(longest, asyncio.get_running_loop().time() - began)
    assert (await working).json()["ok"] == 100
    assert longest < 2


@pytest.mark.parametrize(
    ("kind", "content", "status", "why"),
    [
        ("text/csv", b"", 422, "first line"),
        ("text/csv", b"name,password\n", 422, "first line"),
        ("text/csv", b"address,address\n", 422, "first line"),
        ("text/csv", b"password\n", 422, "first line"),
        ("text/csv", b'address\n"a@x.test\n', 422, "RFC 4180"),
        ("text/csv", b"address\n\xff\n", 422, "UTF-8"),
        ("application/json", b"{}", 422, "list of users"),
        ("application/json", b"[1]", 422, "list of users"),
        ("application/json", b"[", 422, "no JSON"),
        ("application/xml", b"<users/>", 415, "text/csv or application/json"),
        ("text/csv", b"address\n" + b"a@x.test\n" * (MOST_ROWS + 1), 422, "at most"),
        ("text/csv", b"x" * (9 * 1024 * 1024), 413, "at most"),
    ],
)
async def test_what_is_no_list_is_refused_whole(door: Door, kind: str, content: bytes, status: int, why: str) -> None:
    answer = await send(door, content, kind=kind)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert why in answer.json()["detail"]


async def test_a_spreadsheets_mark_at_the_beginning_is_no_letter(door: Door) -> None:
    answer = await send(
        door, b"\xef\xbb\xbfaddress,mode\r\nmarked@bulk.test,store_only\r\n", kind="text/csv; charset=utf-8"
    )
    assert answer.json()["ok"] == 1
