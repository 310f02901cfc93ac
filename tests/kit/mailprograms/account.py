"""Whose mailbox a program opens, and how a program is run."""

import os
import re
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deploy.local.ports import LOOPBACK as LOOPBACK
from tests.kit.api import PASSWORD

PATIENCE_SECONDS = 60.0
_SUBJECT = re.compile(rb"^Subject: ([^\r\n]*)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox on loopback, without TLS."""

    imap_port: int
    pop3_port: int
    address: str
    password: str = PASSWORD


class Program(ABC):
    """A mail program with a folder of its own, where its settings and what it keeps are."""

    name: ClassVar[str]

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.configure()

    def configure(self) -> None:  # noqa: B027 - a library needs none
        """Write what the program needs to find the account."""

    @abstractmethod
    def subjects(self) -> list[str]:
        """The subjects of INBOX, sorted, as the program has them after it has looked."""

    @abstractmethod
    def delete(self, subject: str) -> None:
        """Delete a letter of INBOX as the program's user does."""

    def run(self, *command: str | Path, may_end: tuple[int, ...] = (0,)) -> str:
        """Run a program in its folder; what it says. Fails where it ends with another code than `may_end`."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
        )
        said = done.stdout.decode(errors="replace")
        assert done.returncode in may_end, f"{self.name} ended with {done.returncode}: {said[-2000:]}"
        return said


def subject_of(raw: bytes) -> str:
    """The subject of a letter; empty where it has none."""
    found = _SUBJECT.search(raw)
    return found[1].decode(errors="replace") if found else ""


def subjects_in(raw: bytes) -> list[str]:
    """The subjects of all letters that stand one behind the other."""
    return sorted(found.decode(errors="replace") for found in _SUBJECT.findall(raw))
