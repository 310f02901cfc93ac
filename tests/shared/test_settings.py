"""Settings: one schema for each service; what nobody knows is refused, because a misspelt one loses mail one day."""

from pathlib import Path

import pytest

from shared.settings import SCHEMAS, Forwarder, Ingest, SettingsError, Store, load, secret_key, shown
from shared.target import TargetServer


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_RETRY_SECOND", "5")
    with pytest.raises(SettingsError, match="UNDERSTUDY_RETRY_SECOND"):
        load(Forwarder)


def test_a_variable_of_another_service_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SMTP_PORT", "2599")
    assert load(Forwarder).retry_seconds == 300


@pytest.mark.parametrize(
    ("name", "value"),
    [("SMTP_PORT", "70000"), ("SMTP_PORT", "smtp"), ("MAX_MESSAGE_BYTES", "-1"), ("LOG_FORMAT", "xml")],
)
def test_a_value_that_cannot_serve_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"UNDERSTUDY_{name}", value)
    with pytest.raises(SettingsError, match=f"UNDERSTUDY_{name}: "):
        load(Ingest)


def test_what_a_run_wrote_down_in_its_data_folder_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.env").write_text("UNDERSTUDY_KAFKA_BOOTSTRAP=127.0.0.1:1\nUNDERSTUDY_RETRY_SECONDS=7\n")
    monkeypatch.setenv("UNDERSTUDY_DATA", str(tmp_path))
    monkeypatch.setenv("UNDERSTUDY_RETRY_SECONDS", "9")
    settings = load(Forwarder)
    assert settings.kafka_bootstrap == "127.0.0.1:1"
    assert settings.retry_seconds == 9, "the environment comes before the folder"


def test_a_data_folder_without_settings_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA", str(tmp_path))
    assert load(Forwarder).retry_seconds == 300


def test_secrets_are_hidden_where_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", "not to be seen by anybody")
    monkeypatch.setenv("UNDERSTUDY_MONGODB_URL", "mongodb://root:hush@127.0.0.1/")
    text = repr(shown(load(Store)))
    assert "not to be seen" not in text
    assert "hush" not in text


def test_the_relay_for_notices_is_written_as_a_target_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Forwarder).notice_relay is None
    monkeypatch.setenv("UNDERSTUDY_NOTICE_RELAY", "user:hush@relay.example.test:587")
    settings = load(Forwarder)
    assert settings.notice_relay == TargetServer("relay.example.test", 587, "user", "hush")
    assert shown(settings)["notice_relay"] == "user:***@relay.example.test:587"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("value", ["relay:465", "relay one", "user:***@relay", "smtp://relay", "[::1", "user@relay"])
def test_a_relay_that_cannot_serve_is_refused_without_its_password(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_NOTICE_RELAY", value)
    with pytest.raises(SettingsError, match="UNDERSTUDY_NOTICE_RELAY: ") as refused:
        load(Forwarder)
    assert value not in str(refused.value)


@pytest.mark.parametrize("service", SCHEMAS)
def test_every_setting_says_what_it_means_and_starts_without_being_set(service: str) -> None:
    schema = SCHEMAS[service]
    load(schema)
    assert all(field.description for field in schema.model_fields.values())


def test_the_secret_key_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    assert secret_key(Store(secret_key_file=tmp_path / "key")) == b"0123456789abcdef"


def test_without_a_secret_key_the_error_names_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="UNDERSTUDY_SECRET_KEY"):
        secret_key(Store())
    with pytest.raises(SettingsError, match="UNDERSTUDY_SECRET_KEY_FILE"):
        secret_key(Store(secret_key_file=tmp_path / "absent"))
