"""Whatever goes wrong, the answer is a problem as RFC 9457 has it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.store.web.app import MOST_BODY_BYTES
from tests.store.web.conftest import Door


def check(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    return str(problem["detail"])


@pytest.mark.parametrize("path", ["/nothing", "/users/a@x.test/nothing", "/users/", "/letters", "//users"])
async def test_a_path_that_is_none_is_404(door: Door, path: str) -> None:
    check(await door.admin.get(path), 404)


async def test_a_path_outside_the_api_is_404(door: Door) -> None:
    async with httpx.AsyncClient(base_url=door.base_url, trust_env=False) as client:
        check(await client.get("/nothing"), 404)
        check(await client.get("/api/docs/assets/nothing.js"), 404)
        check(await client.get("/api/docs/assets/..%2f__init__.py"), 404)


async def test_a_method_that_is_none_is_405_and_names_those_that_are(door: Door) -> None:
    answer = await door.admin.put("/users")
    check(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b'{"address": "a@x.test", "mode": {}}'])
async def test_a_body_that_is_no_user_is_422(door: Door, content: bytes) -> None:
    answer = await door.admin.post("/users", content=content, headers={"Content-Type": "application/json"})
    check(answer, 422)


async def test_a_body_that_is_no_text_is_400(door: Door) -> None:
    check(await door.admin.post("/users", content=b"\xff", headers={"Content-Type": "application/json"}), 400)


async def test_a_body_that_is_too_large_is_413_whether_or_not_it_says_so(door: Door) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MOST_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    check(await door.admin.post("/users", content=b" " * (MOST_BODY_BYTES + 1)), 413)
    check(await door.admin.post("/users", content=pieces()), 413)


async def test_our_own_fault_is_told_without_its_inside(door: Door, ann: str) -> None:
    await door.database["users"].update_one({"_id": ann}, {"$set": {"mode": "secret inside"}})
    detail = check(await door.admin.get(f"/users/{ann}"), 500)
    assert "inside" not in detail
    # Others read the whole list after this test.
    await door.database["users"].delete_one({"_id": ann})
