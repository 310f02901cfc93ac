"""`understudy up` says in one line what stands in its way, before it has started anything."""

import os
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local import data_folder, fetch
from deploy.local.data_folder import held, write_settings
from deploy.local.errors import CannotStart
from deploy.local.keys import make_keys, password_to_show
from shared.settings import Console, load

ANY_PORT = {
    f"UNDERSTUDY_{name}_PORT": "0"
    for name in (
        *("SMTP", "HTTP", "IMAP", "IMAPS", "POP3", "POP3S", "STANDIN", "KAFKA", "MONGO"),
        *("INGEST_OPS", "STORE_OPS", "FORWARDER_OPS", "PRUNER_OPS"),
    )
}


def up(data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to refuse."""
    code = "import sys; from deploy.local.up import up; sys.exit(up())"
    env = {**os.environ, "UNDERSTUDY_DATA": str(data), **ANY_PORT, **settings}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_second_run_on_a_data_folder_is_refused(tmp_path: Path) -> None:
    with held(tmp_path):
        assert_refused(up(tmp_path), str(tmp_path), f"process {os.getpid()}", "DATA=")


def test_data_folder_is_free_again_after_the_run(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_refused(up(tmp_path, UNDERSTUDY_HTTP_PORT=port), port, "http", "UNDERSTUDY_HTTP_PORT")


def test_one_port_for_two_is_refused(tmp_path: Path) -> None:
    done = up(tmp_path, UNDERSTUDY_HTTP_PORT="21099", UNDERSTUDY_SMTP_PORT="21099")
    assert_refused(done, "21099", "http", "smtp")


def test_misspelt_setting_is_refused(tmp_path: Path) -> None:
    assert_refused(up(tmp_path, UNDERSTUDY_FORWADERS="2"), "UNDERSTUDY_FORWADERS")


def test_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_refused(up(tmp_path / "file" / "data"), "DATA=")


def test_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(CannotStart, match="make room"), held(tmp_path):
        pass


def test_secrets_are_for_their_owner_only_and_made_once(tmp_path: Path) -> None:
    make_keys(tmp_path)
    for name in ("admin-password", "admin-token", "secret-key", "tls-key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_administrators_password_is_shown_once(tmp_path: Path) -> None:
    make_keys(tmp_path)
    password = (tmp_path / "admin-password").read_text().strip()
    assert password_to_show(tmp_path) == password
    assert password not in password_to_show(tmp_path)


def test_certificate_is_good_for_this_machine(tmp_path: Path) -> None:
    make_keys(tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "tls-cert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", socket.gethostname()} == set(names.get_values_for_type(x509.DNSName)) | {"localhost"}
    assert "127.0.0.1" in map(str, names.get_values_for_type(x509.IPAddress))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls-cert.pem", tmp_path / "tls-key.pem")


def test_settings_of_a_run_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = 'http://127.0.0.1:1/it\'s \\ a # "path" and $1'
    write_settings(tmp_path, {"UNDERSTUDY_API": api})
    monkeypatch.setenv("UNDERSTUDY_DATA", str(tmp_path))
    assert load(Console).api == api


def test_altered_jar_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = fetch.kafka_jars()[0]
    cache = tmp_path / good.parent.name
    cache.mkdir()
    for jar in fetch.kafka_jars():
        (cache / jar.name).hardlink_to(jar) if jar != good else (cache / jar.name).write_bytes(b"altered")

    def served(jar: fetch.Jar, scratch: Path) -> Path:
        (scratch / jar.name).write_bytes(b"altered as well")
        return scratch / jar.name

    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "_download", served)
    with pytest.raises(CannotStart, match=good.name):
        fetch.kafka_jars()
