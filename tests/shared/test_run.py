"""What a service takes for itself when it starts."""

import subprocess
import sys

import pytest

_SHOW = """
import resource, sys
from shared.run import allow_many_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
allow_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("hard", [64, 3000])
def test_a_service_may_open_as_many_files_as_the_machine_lets_it(hard: int) -> None:
    done = subprocess.run([sys.executable, "-c", _SHOW, str(hard)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(hard), str(hard)]
