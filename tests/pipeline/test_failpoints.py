"""kill -9 at each named place, once. The campaign `failpoints` does it twenty times each."""

import re
from pathlib import Path

import pytest

from tests.campaigns.failpoints import PLACES, kills_lose_nothing
from tests.kit.process import PROJECT
from tests.pipeline.conftest import Run


def test_every_failpoint_in_the_code_is_killed_at() -> None:
    named = re.compile(r'failpoint\("([^"]+)"\)')
    folders = [PROJECT / "services", PROJECT / "shared"]
    sources: list[Path] = [path for folder in folders for path in folder.rglob("*.py")]
    in_code = {name for path in sources for name in named.findall(path.read_text())}
    assert in_code == {place for places in PLACES.values() for place in places}


@pytest.mark.timeout(600)
async def test_a_service_killed_at_any_place_loses_no_letter(run: Run) -> None:
    await kills_lose_nothing(run, kills=1)
