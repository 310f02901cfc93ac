"""Certificates."""

from pathlib import Path

import pytest

from tests.dialogues.certificate import self_signed as make


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    return make(tmp_path / "first.pem")


@pytest.fixture
def other_self_signed(tmp_path: Path) -> Path:
    return make(tmp_path / "other.pem")
