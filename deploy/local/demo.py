"""`make demo`: the story of an outage, told on the terminal and checked step by step, on a throw-away data folder.

The main server goes down, letters arrive, are read, one is deleted, the main server returns, the rest is forwarded, and
the copies vanish. It is the real product: `understudy up` in a process of its own, on free ports.
"""

import contextlib
import json
import os
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from deploy.local.sample import ADDRESS, PASSWORD
from services.console.standin import behave
from shared.settings import PREFIX, Local

START_SECONDS = 180.0
PATIENCE_SECONDS = 60.0
LETTERS = ("Lunch at one?", "The offer you asked for", "You have won a prize", "Minutes of Monday")
UNWANTED = "You have won a prize"


class DemoFailed(Exception):
    """A step did not come out as told."""


class Story:
    """The steps, on a product that runs with its data in `data`."""

    def __init__(self, data: Path) -> None:
        ports = json.loads((data / "ports.json").read_text())
        self._data = data
        self._smtp = ports["smtp"]
        # As Ann, with her password: administrators are not needed to read one's mail in an outage.
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['http']}/api/v1", auth=(ADDRESS, PASSWORD), timeout=30, trust_env=False
        )

    def tell(self) -> None:
        """Raises DemoFailed."""
        step("The main server goes down.")
        behave(self._data / "standin", mode="away")
        time.sleep(0.5)

        step(f"{len(LETTERS)} letters arrive for {ADDRESS}.")
        for subject in LETTERS:
            said(f"{subject!r}: {self._send(subject)}")

        step("Ann logs in here and finds them, waiting.")
        letters = self._wait_for("all letters in the mailbox", lambda: self._mailbox(len(LETTERS)))
        for letter in reversed(letters):
            said(f"{letter['subject']!r}, {letter['size']} bytes, forward {letter['forward']['state']}")

        step("She reads one.")
        first = letters[-1]
        text = self._http.get(f"/letters/{first['id']}/raw").raise_for_status().text
        check(first["subject"] in text and text.startswith("Received: from"), "the letter is readable")
        said(text.strip().splitlines()[-1])

        step(f"She deletes {UNWANTED!r}: it will not be forwarded.")
        unwanted = next(letter for letter in letters if letter["subject"] == UNWANTED)
        answer = self._http.delete(f"/letters/{unwanted['id']}").raise_for_status().json()
        check(answer == {"forward": "cancelled"}, f"the forward is cancelled (the answer was {answer})")

        step("The main server returns.")
        behave(self._data / "standin", mode="normal")
        began = time.monotonic()
        wanted = {letter["receipt_id"] for letter in letters} - {unwanted["receipt_id"]}
        self._wait_for("the rest at the main server", lambda: wanted <= self._at_main_server() or None)
        said(f"{len(wanted)} letters are there, {time.monotonic() - began:.1f} s later")

        step("The local copies vanish.")
        self._wait_for("an empty mailbox", lambda: self._mailbox(0))
        for letter in letters:
            shown = self._http.get(f"/letters/{letter['id']}").raise_for_status().json()
            said(f"{letter['subject']!r} is in the bin: {shown['binned']['reason']}")

        step("The deleted one never came to the main server.")
        time.sleep(2)
        check(unwanted["receipt_id"] not in self._at_main_server(), "nobody deletes the same letter twice")

    def _send(self, subject: str) -> str:
        letter = f"From: bob@example.org\r\nTo: {ADDRESS}\r\nSubject: {subject}\r\n\r\nDear Ann, {subject}\r\n"
        with smtplib.SMTP("127.0.0.1", self._smtp, local_hostname="localhost", timeout=30) as client:
            client.ehlo()
            client.mail("bob@example.org")
            client.rcpt(ADDRESS)
            code, text = client.data(letter.encode())
        check(code == 250, f"accepted while the main server is down ({code} {text.decode()})")
        return f"{code} {text.decode()}"

    def _mailbox(self, expected: int) -> list[dict[str, Any]] | None:
        letters: list[dict[str, Any]] = self._http.get(f"/users/{ADDRESS}/letters").raise_for_status().json()["items"]
        if len(letters) != expected:
            return None
        return letters or [{}]

    def _at_main_server(self) -> set[str]:
        lines = (self._data / "standin" / "letters.jsonl").read_text().splitlines()
        return {json.loads(line)["receipt_id"] for line in lines}

    def _wait_for(self, what: str, look: Callable[[], Any]) -> Any:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if found := look():
                return found
            time.sleep(0.1)
        raise DemoFailed(f"{what}: not within {PATIENCE_SECONDS:.0f} s")


def step(text: str) -> None:
    print(f"\n* {text}", flush=True)


def said(text: str) -> None:
    print(f"    {text}", flush=True)


def check(is_so: bool, text: str) -> None:
    """Raises DemoFailed."""
    if not is_so:
        raise DemoFailed(f"not so: {text}")
    said(f"ok: {text}")


@contextlib.contextmanager
def product(data: Path) -> Iterator[None]:
    """`understudy up` on free ports, until the block ends. Raises DemoFailed."""
    ports = {PREFIX + name.upper(): "0" for name in Local.model_fields if name.endswith("_port")}
    environment = {**os.environ, **ports, PREFIX + "DATA": str(data), PREFIX + "SAMPLE": "yes"}
    command = [sys.executable, "-m", "services.console.main", "up"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        if not _is_ready(process):
            raise DemoFailed("the product did not start; its last lines are above")
        yield
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


def _is_ready(process: "subprocess.Popen[str]") -> bool:
    until = time.monotonic() + START_SECONDS
    assert process.stdout is not None  # noqa: S101  (it was asked for)
    for line in process.stdout:
        said(line.rstrip())
        if line.strip() == "understudy is ready":
            return True
        if time.monotonic() > until:
            break
    return False


def main() -> int:
    """0 when every step came out as told."""
    with tempfile.TemporaryDirectory(prefix="understudy-demo-") as folder:
        try:
            step("Understudy starts, with a stand-in for the main server.")
            with product(Path(folder) / "data"):
                Story(Path(folder) / "data").tell()
        except (DemoFailed, httpx.HTTPError, OSError, smtplib.SMTPException) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    print("\nEvery step came out as told.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
