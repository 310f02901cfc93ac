"""What a service tells those who operate it: /metrics (Prometheus), /live and /ready."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

# True, or what is wrong in a few words.
Check = Callable[[], bool | str]

LOOP_STALL = Gauge("understudy_loop_stall_seconds", "Longest stall of the event loop in the last 10 seconds")

# What a look at the database found that an event should have brought: 0 unless something failed.
RECONCILED = Counter("understudy_reconciler_found_total", "Letters that no event had moved", ["kind"])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process's own stop it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_http(app: ASGIApp, host: str, port: int, *, drain_seconds: int = 5) -> AsyncIterator[int]:
    """Serve `app` while the block runs; yields the port, which is a free one where 0 was asked for.

    Raises OSError where the port is in use.
    """
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=drain_seconds, lifespan="off", ws="none"
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def serve(host: str, port: int, *, live: Check, ready: Check) -> AsyncIterator[int]:
    """Serve the ops endpoints while the block runs; yields the port."""
    routes = [
        Route("/metrics", _metrics),
        Route("/live", _answering(live)),
        Route("/ready", _answering(ready)),
    ]
    stalls = asyncio.ensure_future(_watch_stalls())
    try:
        async with serve_http(Starlette(routes=routes), host, port, drain_seconds=1) as chosen:
            yield chosen
    finally:
        stalls.cancel()


# Coroutines, though they wait for nothing: a plain function would be called in a thread, away from the loop that the
# checks ask and from what changes under them.
async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _answering(check: Check) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        state = check()
        if state is True:
            return PlainTextResponse(f"ok {os.getpid()}\n")
        return PlainTextResponse(f"{state or 'not yet'}\n", status_code=503)

    return answer


async def _watch_stalls() -> None:
    loop = asyncio.get_running_loop()
    while True:
        longest = 0.0
        for _ in range(100):
            before = loop.time()
            await asyncio.sleep(0.1)
            longest = max(longest, loop.time() - before - 0.1)
        LOOP_STALL.set(longest)
