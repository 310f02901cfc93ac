"""The story that `make demo` tells comes out as told."""

import pytest

from deploy.local import demo


@pytest.mark.timeout(240)
def test_the_story_of_an_outage_comes_out_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    assert "nobody deletes the same letter twice" in capsys.readouterr().out
