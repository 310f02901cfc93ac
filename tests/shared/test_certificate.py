"""The certificate that clients are shown."""

import os
import ssl
from pathlib import Path

import pytest

from shared.certificate import Certificate, certificate
from shared.settings import Ingest, SettingsError, Store
from tests.dialogues.certificate import self_signed as make


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    return make(tmp_path / "first.pem")


@pytest.fixture
def other_self_signed(tmp_path: Path) -> Path:
    return make(tmp_path / "other.pem")


def test_the_certificate_is_read_again_when_its_file_changes(self_signed: Path, other_self_signed: Path) -> None:
    shown = Certificate(self_signed, None)
    first = shown.context()
    assert shown.context() is first
    self_signed.write_bytes(other_self_signed.read_bytes())
    os.utime(self_signed, (1, 1))
    second = shown.context()
    assert second is not first
    self_signed.write_text("half writ")
    assert shown.context() is second
    self_signed.unlink()
    assert shown.context() is second


def test_old_protocols_are_not_spoken(self_signed: Path) -> None:
    assert Certificate(self_signed, None).context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_cannot_be_read_is_said_at_start(tmp_path: Path) -> None:
    for schema in (Ingest, Store):
        with pytest.raises(SettingsError, match="cannot be used"):
            certificate(schema(tls_cert_file=tmp_path / "none.pem"))
        assert certificate(schema()) is None
