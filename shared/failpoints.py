"""Named places at which a process kills itself, for tests; in production none is armed and each costs a dict look-up.

`UNDERSTUDY_FAILPOINTS=store.before_publish=kill` kills with SIGKILL the first time that the place is passed;
`=kill@7` the seventh time; `=freeze:30` stops the whole process for 30 seconds, as a stalled machine would.
"""

import os
import signal
import time
from dataclasses import dataclass


@dataclass(slots=True)
class _Deed:
    what: str
    passes_left: int


_armed: dict[str, _Deed] = {}


def arm(text: str) -> None:
    """Arm the places that `text` names: name=deed[@pass][,...]. Raises ValueError."""
    _armed.clear()
    for part in filter(None, text.split(",")):
        name, found, deed = part.partition("=")
        what, _, passes = deed.partition("@")
        if not found or not (what == "kill" or what.startswith("freeze:")):
            raise ValueError(f"failpoint {part!r}: name=kill or name=freeze:SECONDS expected")
        _armed[name] = _Deed(what, int(passes or 1))


def failpoint(name: str) -> None:
    """A place at which a test may have this process killed or frozen."""
    if _armed and name in _armed:
        _reach(name)


def _reach(name: str) -> None:
    deed = _armed[name]
    deed.passes_left -= 1
    if deed.passes_left > 0:
        return
    del _armed[name]
    if deed.what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(deed.what.removeprefix("freeze:")))
