"""The real programs that the tests talk to. As root on Debian they are installed; elsewhere we name what is missing."""

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("apt.txt")
# Programs of servers live where a person's PATH does not look.
PROGRAM_FOLDERS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")


class MissingPeers(Exception):
    """The text names them, on one line."""


@dataclass(frozen=True)
class Peer:
    """One line of apt.txt."""

    package: str
    program: str


def provide() -> None:
    """See that every peer is there, installing where we may.

    Raises:
        MissingPeers: some are not there and could not be installed.
    """
    missing = [peer.package for peer in peers() if not _is_there(peer)]
    if not missing:
        return
    if not (_is_debian() and os.geteuid() == 0):
        raise MissingPeers(f"the tests need these Debian packages, or what they hold: {' '.join(missing)}")
    _install(missing)


def peers() -> list[Peer]:
    """All that apt.txt names."""
    lines = [line.split() for line in LIST.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [Peer(package=fields[0], program=fields[1]) for fields in lines]


def _is_there(peer: Peer) -> bool:
    if _is_debian():
        asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", peer.package]
        return subprocess.run(asked, capture_output=True, text=True).stdout == "installed"
    return peer.program == "-" or shutil.which(peer.program, path=PROGRAM_FOLDERS) is not None


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()


def _install(packages: list[str]) -> None:
    print(f"Installing for the tests: {' '.join(packages)}", flush=True)
    wait = "--option=DPkg::Lock::Timeout=600"
    with _no_daemons():
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "--quiet=2", wait, *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if done.returncode:
            said = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise MissingPeers(f"apt-get could not install {' '.join(packages)}: {said}")


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Debian starts a mail server when it is installed, on every address; the tests start their own on loopback."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
