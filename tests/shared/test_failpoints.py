"""Failpoints: a process kills itself at a named place, the named time, and nowhere else."""

import signal
import subprocess
import sys

import pytest

from shared import failpoints

PASSES = "from shared import failpoints as f; f.arm({text!r}); [f.failpoint('here') or print(n) for n in range(5)]"


def _run(text: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-uc", PASSES.format(text=text)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "code", "printed"),
    [
        ("", 0, "01234"),
        ("here=kill", -signal.SIGKILL, ""),
        ("here=kill@3", -signal.SIGKILL, "01"),
        ("elsewhere=kill,here=kill@2", -signal.SIGKILL, "0"),
        ("elsewhere=kill", 0, "01234"),
        ("here=freeze:0.01", 0, "01234"),
    ],
)
def test_a_process_dies_at_the_named_pass(text: str, code: int, printed: str) -> None:
    assert _run(text) == (code, printed)


@pytest.mark.parametrize("text", ["here", "here=", "here=explode", "here=kill@x"])
def test_a_failpoint_that_says_nothing_useful_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is for whoever wrote the test
        failpoints.arm(text)
