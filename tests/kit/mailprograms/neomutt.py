"""neomutt, with keys pressed for it."""

import os
import pty
import select
import subprocess
import time
from typing import ClassVar

from tests.kit.mailprograms.account import LOOPBACK, PATIENCE_SECONDS, Program, subjects_in

# Where there is no letter it takes no more keys of the line that it was given.
_SILENCE_SECONDS = 1.5


class Neomutt(Program):
    """In a terminal of its own; what is deleted goes to Trash."""

    name: ClassVar[str] = "neomutt"

    def configure(self) -> None:
        (self.folder / "rc").write_text(f"""
set imap_user = "{self.account.address}"
set imap_pass = "{self.account.password}"
set ssl_starttls = no
set ssl_force_tls = no
set folder = "imap://{LOOPBACK}:{self.account.imap_port}/"
set spoolfile = "+INBOX"
set trash = "+Trash"
set header_cache = "{self.folder}/headers"
set delete = yes
set quit = yes
set confirmappend = no
set confirmcreate = no
set move = no
set mark_old = no
set pipe_split = yes
set wait_key = no
""")

    def press(self, keys: str) -> None:
        """Open INBOX, and press `keys` (neomutt's names of functions among them)."""
        command = ["neomutt", "-n", "-F", str(self.folder / "rc"), "-e", f'push "{keys}"']
        terminal, far_end = pty.openpty()
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=far_end,
            stdout=far_end,
            stderr=far_end,
            start_new_session=True,
        )
        os.close(far_end)
        try:
            shown = self._watch(process, terminal)
        finally:
            os.close(terminal)
            process.kill()
        assert process.wait() == 0, f"neomutt ended with {process.returncode}: {shown[-2000:]!r}"

    def _watch(self, process: subprocess.Popen[bytes], terminal: int) -> bytes:
        """Read what it shows until it ends; quit where it shows nothing new any more."""
        shown, ends = b"", time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None:
            assert time.monotonic() < ends, f"neomutt does not end: {shown[-2000:]!r}"
            if select.select([terminal], [], [], _SILENCE_SECONDS)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:
                    break
            elif process.poll() is None:
                os.write(terminal, b"q")
        process.wait(PATIENCE_SECONDS)
        return shown

    def subjects(self) -> list[str]:
        taken = self.folder / "taken"
        taken.write_bytes(b"")
        self.press(f"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >> {taken}<enter><quit>")
        return subjects_in(taken.read_bytes())

    def delete(self, subject: str) -> None:
        self.press(f"<delete-pattern>~s {subject}<enter><sync-mailbox><quit>")
