"""The load, and where it ends: Postfix's own smtp-source and smtp-sink, so that neither side pays for ours."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port

LETTER_BYTES = 4096
SENDER, RECIPIENT = "bob@example.org", "ann@example.test"
_COUNTED = re.compile(r"mesg=(\d+)")
# Sessions at once; -d keeps them open from letter to letter.
LOADS = {"-s 20": ["-s", "20"], "-s 100": ["-s", "100"], "-d -s 20": ["-d", "-s", "20"]}


class Sink:
    """A main server that takes everything, and counts."""

    def __init__(self, port: int, told: Path) -> None:
        self.port = port
        self._told = told

    @property
    def letters(self) -> int:
        """How many it has taken so far."""
        counts = _COUNTED.findall(self._told.read_text(errors="replace")[-200:])
        return int(counts[-1]) if counts else 0

    def wait_for(self, letters: int, within_seconds: float) -> None:
        """Raises TimeoutError."""
        until = time.monotonic() + within_seconds
        while self.letters < letters:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.letters} of {letters} letters reached the sink")
            time.sleep(0.01)


@contextlib.contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    """Listening while the block runs; on a free port unless one is given."""
    with tempfile.TemporaryDirectory(prefix="understudy-sink-") as folder:
        told = Path(folder) / "told"
        port = port or free_port()
        as_user = ["-u", "postfix"] if os.geteuid() == 0 else []
        with told.open("wb") as out:
            command = ["smtp-sink", *as_user, "-c", f"{LOOPBACK}:{port}", "1000"]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            time.sleep(0.3)
            yield Sink(port, told)
        finally:
            process.terminate()
            process.wait()


def send(load: str, letters: int, port: int, recipient: str = RECIPIENT) -> float:
    """Hand in `letters` of 4 KB; seconds until the last was answered. Raises CalledProcessError."""
    began = time.monotonic()
    command = ["smtp-source", *LOADS[load], "-m", str(letters), "-l", str(LETTER_BYTES)]
    addresses = ["-f", SENDER, "-t", recipient, f"{LOOPBACK}:{port}"]
    subprocess.run([*command, *addresses], check=True, timeout=1800)
    return time.monotonic() - began


def cpu_seconds(pid: int) -> float:
    """User and system time of a process; 0 for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
