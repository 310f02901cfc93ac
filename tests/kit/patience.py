"""Waiting for what must come true: by asking again, with an end and with words for the failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    question: Callable[[], Awaitable[T]], *, within: float = 30.0, pause: float = 0.05, what: str = "it"
) -> T:
    """Ask until the answer is true-ish; returns it. Fails with the last answer after `within` seconds."""
    end = time.monotonic() + within
    while True:
        answer = await question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {within:.0f} s; last answer: {answer!r}")
        await asyncio.sleep(pause)
