"""Errors as programs read them: RFC 9457 problems, whatever went wrong, and never more than what helps."""

import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.store.bulk import BulkRefused
from services.store.mailbox import NotNow, NotThere
from services.store.passwords import TooBusy
from services.store.user import UserRefused
from services.store.web.paging import BadCursor
from services.store.web.watch import BadEventId
from shared import logs
from shared.bus.producer import BusUnavailable
from shared.mailbox.connect import MailboxUnavailable
from shared.mailbox.users import UserExists

log = logs.get("web")

MEDIA_TYPE = "application/problem+json"
_PASSING = {"Retry-After": "2"}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="understudy", Basic realm="understudy", charset="UTF-8"'}


class NotLetIn(Exception):
    """Nobody known: 401."""


class TooManyTries(Exception):
    """Wrong passwords, so many that the next has to wait: 429."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"to be tried again in {wait_seconds:.0f} s")
        self.wait_seconds = wait_seconds


class NotAllowed(Exception):
    """Somebody known, to whom this is not open: 403. The text says to whom it is."""


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """One problem document."""
    content = {"type": "about:blank", "title": _title(status), "status": status, "detail": detail, **more}
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def answer_with_problems(app: FastAPI) -> None:
    """Have `app` answer every error so."""
    for kind, status, headers in (
        (NotAllowed, 403, None),
        (NotNow, 409, None),
        (BadCursor, 422, None),
        (BadEventId, 422, None),
        (BulkRefused, 422, None),
    ):
        app.add_exception_handler(kind, _saying_why(status, headers))
    app.add_exception_handler(NotThere, _saying(404, "no such thing, or not for you"))
    app.add_exception_handler(NotLetIn, _saying(401, "an administrator's token, or address and password", _CHALLENGE))
    app.add_exception_handler(TooManyTries, _too_many_tries)
    app.add_exception_handler(UserExists, _saying(409, "there is a user of that address"))
    app.add_exception_handler(TooBusy, _saying(503, "too many log in at this moment", _PASSING))
    app.add_exception_handler(MailboxUnavailable, _saying(503, "the database does not answer at present", _PASSING))
    app.add_exception_handler(BusUnavailable, _saying(503, "Kafka does not answer at present", _PASSING))
    app.add_exception_handler(UserRefused, _user_refused)
    app.add_exception_handler(RequestValidationError, _request_refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_fault)


Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]


def _saying(status: int, detail: str, headers: dict[str, str] | None = None) -> Handler:
    async def answer(_: Request, __: Exception) -> JSONResponse:
        return problem(status, detail, headers=headers)

    return answer


def _saying_why(status: int, headers: dict[str, str] | None) -> Handler:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return problem(status, str(error), headers=headers)

    return answer


async def _too_many_tries(_: Request, error: Exception) -> JSONResponse:
    seconds = math.ceil(error.wait_seconds) if isinstance(error, TooManyTries) else 1
    return problem(429, "too many wrong passwords: try again later", headers={"Retry-After": str(seconds)})


async def _user_refused(_: Request, error: Exception) -> JSONResponse:
    faults = error.faults if isinstance(error, UserRefused) else {}
    errors = [{"field": field, "detail": text} for field, text in faults.items()]
    return problem(422, str(error), errors=errors)


async def _request_refused(_: Request, error: Exception) -> JSONResponse:
    """What was sent is not repeated: it may be a password."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [one for fault in found for one in _faults(fault)]
    detail = "; ".join(f"{one['field']}: {one['detail']}" if one["field"] else one["detail"] for one in errors)
    return problem(422, detail, errors=errors)


def _faults(fault: dict[str, Any]) -> list[dict[str, str]]:
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, UserRefused):
        return [{"field": field, "detail": text} for field, text in cause.faults.items()]
    place = [str(part) for part in fault["loc"] if part not in ("body", "query", "path")]
    return [{"field": ".".join(place), "detail": str(fault["msg"]).removeprefix("Value error, ")}]


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return problem(500, "")
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, _DETAILS.get(error.status_code, str(error.detail)), headers=headers)


_DETAILS = {404: "there is nothing at this path", 405: "this method is not for this path; see Allow"}


async def _our_fault(request: Request, error: Exception) -> JSONResponse:
    log.error("request_failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return problem(500, "this is our fault; the log has the reason")


class LimitedBodies:
    """Refuses bodies that are too large, before they are in memory."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > self._most_bytes:
            await problem(413, f"at most {self._most_bytes} bytes")(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """For bodies that do not say how long they are."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most_bytes:
                raise HTTPException(413, f"at most {self._most_bytes} bytes")
            return message

        return counted
