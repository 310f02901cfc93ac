"""The API's description, and the page that shows it."""

from typing import Any

import httpx
import pytest

from tests.store.web.conftest import Door

PATHS = {
    "/api/v1/users": {"get", "post"},
    "/api/v1/users/bulk": {"post"},
    "/api/v1/users/{address}": {"get", "patch", "delete"},
    "/api/v1/users/{address}/mailboxes": {"get"},
    "/api/v1/users/{address}/letters": {"get"},
    "/api/v1/letters/{letter_id}": {"get", "delete"},
    "/api/v1/letters/{letter_id}/raw": {"get"},
    "/api/v1/letters/{letter_id}/attempts": {"get"},
    "/api/v1/letters/{letter_id}/forward-now": {"post"},
    "/api/v1/users/{address}/forward-now": {"post"},
    **{f"/api/v1/destinations/{{name}}/{verb}": {"post"} for verb in ("probe", "suspend", "resume", "drain")},
    "/api/v1/destinations/{name}/forward-now": {"post"},
    "/api/v1/destinations": {"get"},
    "/api/v1/destinations/{name}": {"get"},
    "/api/v1/events": {"get"},
    "/api/v1/status": {"get"},
}


@pytest.fixture
async def visitor(door: Door) -> Any:
    async with httpx.AsyncClient(base_url=door.base_url, trust_env=False) as client:
        yield client


async def test_the_description_names_every_path(visitor: httpx.AsyncClient) -> None:
    description = (await visitor.get("/api/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    assert {path: set(operations) for path, operations in description["paths"].items()} == PATHS
    assert set(description["components"]["securitySchemes"]) == {"token", "password"}
    letter = description["components"]["schemas"]["ShownLetter"]["properties"]
    assert {"id", "from", "subject", "forward", "binned"} <= set(letter)


async def test_the_page_is_served_by_us_alone(visitor: httpx.AsyncClient) -> None:
    front = await visitor.get("/")
    assert front.headers["location"] == "/api/docs"
    page = await visitor.get("/api/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("</", "")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in ("start.js", "openapi.json", "assets/swagger-ui.css", "assets/swagger-ui-bundle.js"):
        assert (await visitor.get(f"/api/docs/{path}")).status_code == 200, path
    # The program of the page knows no other number.
    assert (await visitor.get("/api/docs/openapi.json")).json()["openapi"] == "3.0.3"
