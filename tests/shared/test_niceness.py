"""Who steps behind yields to processes of other sessions, too."""

import subprocess
import sys

import pytest

from shared.niceness import behind

# The file is empty for a session that has no group, as where groups were turned on after it began.
_SHOW = [sys.executable, "-c", "import os, pathlib; g = pathlib.Path('/proc/self/autogroup');"
         "text = g.read_text() if g.exists() else '';"
         "print(os.nice(0), text.split()[-1] if text else 'none')"]  # fmt: skip


def _shown(command: list[str], *, has_own_session: bool) -> list[str]:
    done = subprocess.run(command, start_new_session=has_own_session, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("niceness", [0, 10])
def test_in_a_session_of_its_own_a_process_takes_its_group_along(niceness: int) -> None:
    has_group = _shown(_SHOW, has_own_session=True)[1] != "none"
    shown = _shown(behind(niceness, _SHOW), has_own_session=True)
    assert shown == [str(niceness), str(niceness) if has_group else "none"]


def test_a_session_shared_with_others_is_left_alone() -> None:
    before = _shown(_SHOW, has_own_session=False)[1]
    assert _shown(behind(5, _SHOW), has_own_session=False)[1] == before
