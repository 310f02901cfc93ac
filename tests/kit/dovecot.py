"""A Dovecot of our own, in a folder that goes afterwards: what our IMAP and POP3 are compared with."""

import contextlib
import getpass
import grp
import os
import pwd
import shutil
import socket
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.server import Server
from tests.kit.api import PASSWORD
from tests.setup.peers import PROGRAM_FOLDERS

# Mail may not belong to root there, and the one who runs it needs no other account.
_MAIL_USER = "dovecot" if os.geteuid() == 0 else getpass.getuser()

# A child whose client has not hung up stays; it is killed then.
CHILDREN_SECONDS = 1.0

_SETTINGS = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
listen = {host}
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login_user}
default_client_limit = 4000
default_process_limit = 1000
first_valid_uid = 1
mail_uid = {user}
mail_gid = {group}
mail_location = {location}
mail_fsync = {fsync}
imap_fetch_failure = no-after
mail_max_userip_connections = 1000
mail_plugins = quota
passdb {{
  driver = static
  args = password={{PLAIN.b64}}{password}
  username_filter = !nobody@example.test *@example.test
}}
passdb {{
  driver = passwd-file
  args = {folder}/nobody
}}
userdb {{
  driver = static
  args = home={folder}/homes/%u
}}
plugin {{
  quota = count:User quota
  quota_rule = *:storage=10G
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
  mailbox Archive {{
    auto = create
    special_use = \\Archive
  }}
}}
"""


class Dovecot(Server):
    """One instance. Its users are whoever asks, at example.test and with PASSWORD; nobody@example.test is none. Each
    has the six folders, and no letters at first."""

    name: ClassVar[str] = "dovecot"

    def __init__(self, folder: Path, *, is_as_shipped: bool) -> None:
        super().__init__(folder)
        self._is_as_shipped = is_as_shipped
        self.imap_port = self.port
        self.pop3_port = free_port()

    def prepare(self) -> None:
        """Its settings, and a place for mail that is not root's."""
        user = pwd.getpwnam(_MAIL_USER)
        settings = _SETTINGS.format(
            folder=self.folder,
            location="maildir:~/mail" if self._is_as_shipped else "sdbox:~/mail",
            fsync="optimized" if self._is_as_shipped else "never",
            host=LOOPBACK,
            password=b64encode(PASSWORD.encode()).decode(),
            user=_MAIL_USER,
            group=grp.getgrgid(user.pw_gid).gr_name,
            login_user="dovenull" if os.geteuid() == 0 else _MAIL_USER,
            imap_port=self.imap_port,
            pop3_port=self.pop3_port,
        )
        (self.folder / "dovecot.conf").write_text(settings)
        (self.folder / "nobody").touch()
        (self.folder / "homes").mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self.folder / "homes", user.pw_uid, user.pw_gid)

    def command(self) -> list[str]:
        """In the foreground."""
        program = shutil.which("dovecot", path=PROGRAM_FOLDERS)
        assert program is not None, "dovecot is not installed: `make setup-tests` says how"
        return [program, "-F", "-c", str(self.folder / "dovecot.conf")]

    def is_serving(self) -> bool:
        """Whether both ports greet: logins wait until the part that knows passwords is up."""
        return _greets(self.imap_port) and _greets(self.pop3_port)

    def stop(self) -> None:
        """End it, and wait for its children: one that ends later would write into a folder that is being removed."""
        group = self.pid if self._process is not None else 0
        super().stop()
        ends = time.monotonic() + CHILDREN_SECONDS
        while group and (left := _members(group)):
            for process in left if time.monotonic() > ends else []:
                process.kill()
            time.sleep(0.02)


def _members(group: int) -> list[psutil.Process]:
    """The processes of a group that still run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1) as connection:
        return bool(connection.recv(100))
    return False


@contextlib.contextmanager
def dovecot(*, is_as_shipped: bool = False) -> Iterator[Dovecot]:
    """Running while the block does; its mail goes with it. `is_as_shipped`: mail is on disk before it says so, in a
    folder of files; else it is quick to fill, and promises nothing."""
    with tempfile.TemporaryDirectory(prefix="understudy-dovecot-", ignore_cleanup_errors=True) as folder:
        with Dovecot(Path(folder), is_as_shipped=is_as_shipped) as server:
            yield server
