"""Programs that keep a mailbox here and there the same: what is deleted on one side goes on the other."""

import shutil
from pathlib import Path
from typing import ClassVar

from tests.kit.mailprograms.account import LOOPBACK, Program, subject_of


class Syncer(Program):
    """A program with a maildir for each folder."""

    @property
    def maildirs(self) -> Path:
        return self.folder / "mail"

    def sync(self) -> str:
        """Make both sides the same; what the program said."""
        raise NotImplementedError

    def files(self, name: str = "INBOX") -> dict[str, Path]:
        """Subject -> file of each letter in a folder, as it is here."""
        found = [file for state in ("new", "cur") for file in (self.maildirs / name / state).glob("*")]
        return {subject_of(file.read_bytes()): file for file in found}

    def subjects(self) -> list[str]:
        self.sync()
        return sorted(self.files())

    def delete(self, subject: str) -> None:
        self.files()[subject].unlink()
        self.sync()

    def mark(self, subject: str, flags: str) -> None:
        """Give a letter the maildir flags `flags` (S seen, F flagged, R answered, T deleted), here and there."""
        file = self.files()[subject]
        shutil.move(file, file.parent.parent / "cur" / f"{file.name.partition(':')[0]}:2,{flags}")
        self.sync()

    def move(self, subject: str, name: str) -> None:
        """Move a letter to a folder, here and there."""
        file = self.files()[subject]
        # A unique number in the name would say which letter of the old folder it is.
        shutil.move(file, self.maildirs / name / "cur" / f"{file.name.partition(',')[0]}.moved:2,S")
        self.sync()


class Mbsync(Syncer):
    """isync's."""

    name: ClassVar[str] = "mbsync"

    def configure(self) -> None:
        self.maildirs.mkdir(exist_ok=True)
        (self.folder / "rc").write_text(f"""
IMAPAccount account
Host {LOOPBACK}
Port {self.account.imap_port}
User {self.account.address}
Pass "{self.account.password}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account account

MaildirStore near
Path {self.maildirs}/
Inbox {self.maildirs}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    def sync(self) -> str:
        return self.run("mbsync", "-V", "-c", self.folder / "rc", "-a")


class Offlineimap(Syncer):
    """offlineimap3."""

    name: ClassVar[str] = "offlineimap"

    def configure(self) -> None:
        (self.folder / "rc").write_text(f"""
[general]
accounts = account
metadata = {self.folder}/metadata
[Account account]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {self.maildirs}
[Repository there]
type = IMAP
remotehost = {LOOPBACK}
remoteport = {self.account.imap_port}
remoteuser = {self.account.address}
remotepass = {self.account.password}
auth_mechanisms = LOGIN
ssl = no
starttls = no
""")

    def sync(self) -> str:
        return self.run("offlineimap", "-c", self.folder / "rc", "-o", "-u", "basic")
