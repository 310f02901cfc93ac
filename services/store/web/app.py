"""The API as one application."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.store.web import destinations, docs, events, letters, status, users
from services.store.web.auth import Tokens
from services.store.web.parts import Parts
from services.store.web.problems import MEDIA_TYPE, LimitedBodies, answer_with_problems

PREFIX = "/api/v1"
# 10,000 users in one list.
MOST_BODY_BYTES = 8 * 1024 * 1024

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def build(parts: Parts) -> FastAPI:
    """The application, working with `parts`."""
    app = FastAPI(
        title="Understudy",
        version="1",
        description="Mailboxes and forwards of a stand-in mail server.",
        docs_url=None,
        redoc_url=None,
        openapi_url=docs.OPENAPI,
        # A redirect would lose the caller's credentials in some clients; a wrong path is told as such.
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.tokens = Tokens()
    for noun in (users, letters, destinations, events, status):
        app.include_router(noun.router, prefix=PREFIX)
    docs.describe(app)
    answer_with_problems(app)
    app.add_middleware(LimitedBodies, most_bytes=MOST_BODY_BYTES)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]
    return app


def _description(app: FastAPI) -> dict[str, Any]:
    """What FastAPI finds by itself, with our errors and our ways to log in."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema.setdefault("components", {})
        components["securitySchemes"] = docs.SECURITY
        components.setdefault("schemas", {})["Problem"] = _PROBLEM
        schema["security"] = [{"token": []}, {"password": []}]
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {"description": "what went wrong (RFC 9457)", "content": content}
        app.openapi_schema = schema
    return app.openapi_schema
