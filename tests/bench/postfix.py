"""The peer: a Postfix of our own in a folder that goes afterwards, relaying all it takes to one sink."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port

# What Debian ships, unchrooted, with as many processes as the load has sessions and more.
_MASTER = """
{port} inet n - n - 200 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/lib
maillog_file = {folder}/log
maillog_file_prefixes = /tmp, /var
myhostname = peer.test
mydestination =
local_recipient_maps =
local_transport = error:none
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
default_process_limit = 200
message_size_limit = 52428800
"""


class Postfix:
    """A running instance; `port` takes mail."""

    def __init__(self, folder: Path, sink_port: int, settings: str = "") -> None:
        self.port = free_port()
        self._etc = folder / "etc"
        self._folder = folder
        self._write(sink_port, settings)

    def _write(self, sink_port: int, settings: str) -> None:
        for name in ("etc", "spool", "lib"):
            (self._folder / name).mkdir(parents=True)
        shutil.chown(self._folder / "lib", "postfix", "postfix")
        self._folder.chmod(0o755)
        (self._etc / "main.cf").write_text(_MAIN.format(folder=self._folder, sink=sink_port) + settings)
        (self._etc / "master.cf").write_text(_MASTER.format(port=f"{LOOPBACK}:{self.port}"))

    def control(self, verb: str) -> None:
        """start or stop. Raises CalledProcessError."""
        subprocess.run(["postfix", "-c", str(self._etc), verb], check=True, capture_output=True, timeout=60)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self._folder / "log").read_text(errors="replace")

    @property
    def pids(self) -> list[int]:
        """The master and all that it has started."""
        master = int((self._folder / "spool" / "pid" / "master.pid").read_text())
        children = subprocess.run(["pgrep", "-P", str(master)], capture_output=True, text=True, check=False)
        return [master, *map(int, children.stdout.split())]


@contextlib.contextmanager
def postfix(sink_port: int, settings: str = "") -> Iterator[Postfix]:
    """Running while the block does, with `settings` besides its own. Only root can start it."""
    with tempfile.TemporaryDirectory(prefix="understudy-postfix-", ignore_cleanup_errors=True) as folder:
        instance = Postfix(Path(folder), sink_port, settings)
        instance.control("start")
        try:
            yield instance
        finally:
            instance.control("stop")
