"""What a service tells its operator: /metrics, /live and /ready, asked on the loop that its parts run on."""

import asyncio

import httpx

from shared import ops


def _loop_is_running() -> bool | str:
    asyncio.get_running_loop()
    return True


async def test_checks_are_asked_on_the_loop() -> None:
    async with ops.serve("127.0.0.1", 0, live=_loop_is_running, ready=_loop_is_running) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/live")).status_code == 200
            assert (await client.get("/ready")).status_code == 200
            assert "understudy_loop_stall_seconds" in (await client.get("/metrics")).text


async def test_what_is_wrong_is_said_with_503() -> None:
    async with ops.serve("127.0.0.1", 0, live=lambda: True, ready=lambda: "no broker") as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.get("/ready")
            assert (answer.status_code, answer.text) == (503, "no broker\n")
