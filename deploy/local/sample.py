"""A sample user, and one letter that shows that the whole pipeline works."""

import asyncio
import json
import re
import smtplib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import httpx

from deploy.local.errors import CannotStart
from deploy.local.ports import LOOPBACK

ADDRESS, PASSWORD, TARGET = "ann@example.test", "ann", "ann@main.example.test"
SENDER = "sample@example.test"
# A letter takes a fraction of a second; a machine that is busy with something else may take longer.
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Journey:
    """Seconds from the start of its SMTP session; None: not within our patience."""

    accepted: float
    forwarded: float | None
    gone: float | None


class Sample:
    """Ann, who has a mailbox here and one at the stand-in main server."""

    def __init__(self, data: Path, api: str, token: str, smtp_port: int, standin_port: int) -> None:
        self._made = data / "sample-made"
        self._letters = data / "standin" / "letters.jsonl"
        self._smtp_port = smtp_port
        self._target_server = f"{LOOPBACK}:{standin_port}"
        self._http = httpx.AsyncClient(
            base_url=f"{api}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def make_user(self) -> bool:
        """Make Ann, once: who removes her does not get her back. True if she is there."""
        found = await self._http.get(f"/users/{ADDRESS}")
        if found.status_code == httpx.codes.OK:
            self._made.touch()
            await self._follow_standin(found.json())
            return True
        if self._made.exists():
            return False
        user = {
            "address": ADDRESS,
            "password": PASSWORD,
            "mode": "store_and_forward",
            "target_address": TARGET,
            "target_server": self._target_server,
        }
        made = await self._http.post("/users", json=user)
        if made.status_code != httpx.codes.CREATED:
            raise CannotStart(f"the sample user could not be made: {made.status_code} {made.text[:200]}")
        self._made.touch()
        return True

    async def _follow_standin(self, user: dict[str, object]) -> None:
        """The stand-in may be on another port today. A target that a person has set is left alone."""
        server = str(user["target_server"])
        is_ours = user["target_address"] == TARGET and server.startswith(f"{LOOPBACK}:")
        if is_ours and server != self._target_server:
            await self._http.patch(f"/users/{ADDRESS}", json={"target_server": self._target_server})

    async def send(self) -> Journey:
        """Send a letter to Ann and watch it go all the way."""
        start = time.monotonic()
        seen = self._letters.stat().st_size if self._letters.exists() else 0
        receipt = await asyncio.to_thread(submit, self._smtp_port)
        accepted = time.monotonic() - start

        async def is_forwarded() -> bool:
            return self._is_at_standin(receipt, seen)

        async def is_gone() -> bool:
            return not await self._is_in_mailbox(receipt)

        forwarded = await _when(is_forwarded, start)
        gone = await _when(is_gone, start) if forwarded is not None else None
        return Journey(accepted, forwarded, gone)

    def _is_at_standin(self, receipt: str, seen: int) -> bool:
        if not self._letters.exists():
            return False
        with self._letters.open("rb") as file:
            file.seek(seen)
            # The last line may be half written yet.
            lines = file.read().split(b"\n")[:-1]
        return any(json.loads(line)["receipt_id"] == receipt for line in lines)

    async def _is_in_mailbox(self, receipt: str) -> bool:
        answer = await self._http.get(f"/users/{ADDRESS}/letters", params={"limit": 500})
        answer.raise_for_status()
        return any(letter["receipt_id"] == receipt for letter in answer.json()["items"])


def submit(port: int) -> str:
    """Hand in the sample letter; the receipt id that the answer names.

    Raises:
        CannotStart: it was not accepted.
    """
    letter = (
        f"From: {SENDER}\r\nTo: {ADDRESS}\r\nSubject: The show goes on\r\nDate: {formatdate()}\r\n"
        "\r\nThis letter went from SMTP through Kafka into your mailbox, and on to your main server.\r\n"
    )
    try:
        with smtplib.SMTP(LOOPBACK, port, local_hostname="localhost", timeout=PATIENCE_SECONDS) as client:
            client.ehlo()
            client.mail(SENDER)
            code, text = client.rcpt(ADDRESS)
            if code == 250:
                code, text = client.data(letter.encode())
    except (OSError, smtplib.SMTPException) as error:
        raise CannotStart(f"the sample letter could not be handed in: {error}") from error
    queued = re.search(rb"queued as (\S+)", text)
    if code != 250 or queued is None:
        raise CannotStart(f"the sample letter was not accepted: {code} {text.decode(errors='replace')}")
    return queued[1].decode()


async def _when(is_so: Callable[[], Awaitable[bool]], start: float) -> float | None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if await is_so():
            return time.monotonic() - start
        await asyncio.sleep(LOOK_SECONDS)
    return None
