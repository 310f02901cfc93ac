"""Every setting, its meaning and its default: one schema for each service, read from the environment.

A setting `smtp_port` is the variable `UNDERSTUDY_SMTP_PORT`. Where `UNDERSTUDY_DATA` names the data folder of a running
`make run`, what that run wrote down in `settings.env` there serves as default. A variable that no schema knows is an
error: a misspelt setting that is silently ignored loses mail one day.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.target import HIDDEN, TargetServer, parse

PREFIX = "UNDERSTUDY_"
MIB = 1024 * 1024
# What one record of `received` may be beyond the letter: our Received header, the facts, 1,000 recipients.
RECORD_OVERHEAD_BYTES = 4 * MIB

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class SettingsError(Exception):
    """A setting is unknown or has a value that cannot serve. The text is one line for each."""


def _relay(value: object) -> object:
    """A server as a target server is written. Raises ValueError, with what to write instead."""
    if not isinstance(value, str):
        return value
    server = parse(value)
    if server.password == HIDDEN:
        raise ValueError(f"{HIDDEN} stands for a password that is not shown: write the password itself")
    return server


class Common(BaseSettings):
    """What every service needs: where Kafka and MongoDB are, how to log."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    data: Path | None = Field(None, description="data folder of `make run`; services take addresses and keys from it")
    kafka_bootstrap: str = Field("127.0.0.1:19092", description="Kafka brokers, host:port[,host:port]")
    topic_prefix: str = Field("", description="put in front of every topic and consumer group, to share a cluster")
    partitions: int = Field(12, ge=1, le=512, description="partitions of each topic; bounds the number of forwarders")
    replication: int = Field(1, ge=1, description="copies of each partition; above 1, min.insync.replicas is one less")
    topic_retention_days: int = Field(
        14, ge=1, description="longest stop of a consumer, or age of a database backup, that loses nothing"
    )
    mongodb_url: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27117/?replicaSet=rs0&directConnection=true"), description="MongoDB replica set"
    )
    mongodb_database: str = Field("understudy", description="name of the database")
    max_message_bytes: int = Field(50 * MIB, ge=1024, le=500 * MIB, description="largest letter, announced in SIZE")
    hostname: str = Field(default_factory=socket.gethostname, description="our name in greetings and Received headers")
    log_format: str = Field(
        "auto", pattern="^(auto|json|text)$", description="log lines; auto: text on a terminal, JSON elsewhere"
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level that is logged")
    ops_host: str = Field("127.0.0.1", description="address of /metrics, /live and /ready")
    nice: int = Field(
        0, ge=0, le=19, description="niceness of this process; store, forwarder, pruner run behind ingest"
    )
    failpoints: str = Field("", description="for tests: name=deed[,name=deed]; a process kills itself at that place")
    test_clock: bool = Field(False, description="for tests: the clock can be moved by a document in the database")


class WithCertificate(Common):
    """What is told alike to the services that listen to the world."""

    tls_cert_file: Path | None = Field(None, description="certificate chain, PEM; none: no TLS, no STARTTLS")
    tls_key_file: Path | None = Field(None, description="the certificate's key, PEM; none: it is in the chain's file")
    connections_per_address: int = Field(
        50, ge=1, description="open sessions of one client address, in one process (loopback is exempt)"
    )


class Ingest(WithCertificate):
    """SMTP in."""

    smtp_host: str = Field("127.0.0.1", description="address on which mail is received")
    smtp_port: Port = Field(2525, description="port on which mail is received")
    ingest_ops_port: Port = Field(9101, description="port of ingest's /metrics, /live, /ready")
    ingest_memory_bytes: int = Field(512 * MIB, ge=MIB, description="budget for letters in flight; past it, 452")
    connections: int = Field(2000, ge=1, description="open SMTP sessions in all; past it, 421")
    recipients_per_letter: int = Field(1000, ge=100, description="in one transaction; RFC 5321 4.5.3.1.8 asks for 100")
    received_limit: int = Field(50, ge=10, description="Received headers before a letter is called looping")
    idle_seconds: Seconds = Field(300.0, description="silence before a session is closed; RFC 5321 4.5.3.2.7")
    minimum_rate_bytes: int = Field(500, ge=1, description="least bytes a second of an upload")
    final_reply_seconds: Seconds = Field(20.0, description="longest wait for the broker before 451")
    broker_silence_seconds: Seconds = Field(5.0, description="without an answer before the broker counts as down")
    subaddress_separator: str = Field("+", max_length=1, description="user+tag@ reaches user@; empty: off")
    recipients_cache: Path | None = Field(None, description="file that keeps the known recipients over a restart")


class Store(WithCertificate):
    """The mailbox and its doors."""

    http_host: str = Field("127.0.0.1", description="address of the web page and API")
    http_port: Port = Field(8025, description="port of the web page and API")
    mailbox_host: str = Field("127.0.0.1", description="address of IMAP and POP3; several with commas between")
    imap_port: Port = Field(1143, description="port of IMAP, with STARTTLS")
    imaps_port: Port = Field(1993, description="port of IMAP over TLS")
    pop3_port: Port = Field(1110, description="port of POP3, with STLS")
    pop3s_port: Port = Field(1995, description="port of POP3 over TLS")
    mailbox_connections: int = Field(2000, ge=1, description="open IMAP and POP3 sessions in all, in one process")
    connections_per_user: int = Field(25, ge=1, description="open IMAP and POP3 sessions of a user, in one process")
    login_tries_per_minute: int = Field(
        10, ge=1, description="wrong passwords for an account, or from an address, before there is a growing delay"
    )
    login_seconds: Seconds = Field(60.0, description="time to log in before an IMAP or POP3 session is closed")
    write_seconds: Seconds = Field(
        60.0, description="a client that takes nothing of an answer, or sends nothing of a literal, is cut after that"
    )
    imap_idle_minutes: Seconds = Field(30.0, description="silence before an IMAP session is closed; RFC 9051 5.4")
    pop3_idle_minutes: Seconds = Field(10.0, description="silence before a POP3 session is closed; RFC 1939 section 3")
    mailbox_quota_bytes: int = Field(0, ge=0, description="what one user's mailbox may hold; 0: no limit")
    store_ops_port: Port = Field(9102, description="port of store's /metrics, /live, /ready")
    admin_password_file: Path | None = Field(None, description="first password of `admin`")
    admin_token_file: Path | None = Field(None, description="an administrators' API token")
    secret_key: SecretStr | None = Field(None, description="key that encrypts the passwords of target servers")
    secret_key_file: Path | None = Field(None, description="file with that key")
    bin_deleted_days: float = Field(14, ge=0, description="how long what a person deleted stays recoverable; 0: not")
    lifetime_days: float = Field(30, gt=0, description="since a letter was armed, as the forwarder has it; is shown")
    rendering_cache_bytes: int = Field(
        128 * MIB, ge=MIB, description="memory for what was told of letters' structure; MongoDB keeps the rest"
    )
    own_listeners: str = Field("", description="host:port[,host:port] that are ours and never a target server")
    services: str = Field("", description="name=host:port[,...] of the ops ports that GET /status asks")


class Forwarder(Common):
    """SMTP out."""

    forwarder_ops_port: Port = Field(9103, description="port of this forwarder's /metrics, /live, /ready")
    forwarder_connections: int = Field(20, ge=1, description="connections of one forwarder to one destination")
    destination_connections: int = Field(20, ge=1, description="connections to one destination over all forwarders")
    forwarder_lease_seconds: Seconds = Field(60.0, description="silence after which others take over its claims")
    retry_seconds: Seconds = Field(
        300.0, description="wait before a deferred letter's next try; later ones wait 2, 3, 6 and 12 times as long"
    )
    probe_seconds: Seconds = Field(5.0, description="between two looks whether a destination that is down answers")
    breaker_test_seconds: Seconds = Field(
        900.0, description="between two letters that test a destination, or a login, that refuses everything"
    )
    believe_seconds: float = Field(900.0, ge=0, description="how long after a first 5xx a second one parks a letter")
    lifetime_days: float = Field(30, gt=0, description="since the letter was armed; past it, parked")
    backlog_scan: bool = Field(True, description="look in the database for what events did not bring")
    backlog_seconds: Seconds = Field(1.0, description="between two looks")
    plan_letters: int = Field(100_000, ge=1, description="letters planned in memory; more stay in the database")
    reconcile_seconds: Seconds = Field(60.0, description="age at which a letter that no event moved is announced again")
    secret_key: SecretStr | None = Field(None, description="key that encrypts the passwords of target servers")
    secret_key_file: Path | None = Field(None, description="file with that key")
    connect_seconds: Seconds = Field(10.0, description="time to connect")
    command_seconds: Seconds = Field(300.0, description="banner, EHLO, MAIL, RCPT; RFC 5321 4.5.3.2")
    data_seconds: Seconds = Field(120.0, description="answer to DATA; RFC 5321 4.5.3.2.4")
    block_seconds: Seconds = Field(180.0, description="for each block of the letter; RFC 5321 4.5.3.2.5")
    final_dot_seconds: Seconds = Field(600.0, description="answer to the final dot; RFC 5321 4.5.3.2.6")
    idle_connection_seconds: Seconds = Field(5.0, description="before an unused connection is closed")
    letters_per_connection: int = Field(100, ge=1, description="before a connection is closed and made again")
    notice_relay: Annotated[TargetServer | None, NoDecode, BeforeValidator(_relay)] = Field(
        None,
        description="[user:password@]host[:port] that takes notices of failure to senders; none: parked letters only",
    )


class Pruner(Common):
    """Takes away what has been kept long enough."""

    pruner_ops_port: Port = Field(9104, description="port of pruner's /metrics, /live, /ready")
    bin_forwarded_hours: float = Field(72, ge=0, description="how long forwarded copies stay recoverable; 0: not")
    expire_seconds: Seconds = Field(60.0, description="between two looks for expired letters; at once while there are")


class Console(Common):
    """The command `understudy`, where it is a client of the HTTP API."""

    api: str = Field("http://127.0.0.1:8025", description="where the HTTP API is")
    token: SecretStr | None = Field(None, description="an administrator's token; default: that of the data folder")


class Local(Common):
    """`make run`: everything on one machine."""

    forwarders: int = Field(1, ge=1, le=12, description="forwarders that `make run` starts")
    sample: bool = Field(True, description="make a sample user and a stand-in main server")
    standin_port: Port = Field(2626, description="port of the stand-in main server")
    kafka_port: Port = Field(19092, description="port of the Kafka that `make run` starts")
    mongo_port: Port = Field(27117, description="port of the MongoDB that `make run` starts")
    cache: Path = Field(Path(".cache"), description="folder for what is fetched once")
    smtp_port: Port = Field(2525, description="port on which mail is received")
    http_port: Port = Field(8025, description="port of the web page and API")
    imap_port: Port = Field(1143, description="port of IMAP, with STARTTLS")
    imaps_port: Port = Field(1993, description="port of IMAP over TLS")
    pop3_port: Port = Field(1110, description="port of POP3, with STLS")
    pop3s_port: Port = Field(1995, description="port of POP3 over TLS")
    ingest_ops_port: Port = Field(9101, description="port of ingest's /metrics, /live, /ready")
    store_ops_port: Port = Field(9102, description="port of store's /metrics, /live, /ready")
    forwarder_ops_port: Port = Field(9103, description="port of the first forwarder's /metrics, /live, /ready")
    pruner_ops_port: Port = Field(9104, description="port of pruner's /metrics, /live, /ready")


SCHEMAS: dict[str, type[Common]] = {
    "ingest": Ingest,
    "store": Store,
    "forwarder": Forwarder,
    "pruner": Pruner,
    "console": Console,
    "local": Local,
}

S = TypeVar("S", bound=Common)


def known_names() -> set[str]:
    """Every environment variable that some schema knows, in capitals."""
    return {PREFIX + field.upper() for schema in SCHEMAS.values() for field in schema.model_fields}


def load(schema: type[S], **overrides: Any) -> S:
    """Read `schema` from the environment.

    Raises:
        SettingsError: a variable is unknown, or a value cannot serve; the text names each and what it should be.
    """
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known_names())
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}: `understudy settings` lists all that exist")
    folder = os.environ.get(PREFIX + "DATA")
    written_down = Path(folder) / "settings.env" if folder else None
    try:
        return schema(_env_file=written_down, **overrides)
    except ValidationError as error:
        lines = [f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def load_or_exit(schema: type[S], **overrides: Any) -> S:
    """As `load`, for a process's first line: an error is printed and ends it with code 1."""
    try:
        return load(schema, **overrides)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


def shown(settings: Common) -> dict[str, Any]:
    """The settings in force as plain values, secrets hidden, for the log line at start."""
    return {name: _plain(getattr(settings, name)) for name in type(settings).model_fields}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def secret_key(settings: Store | Forwarder) -> bytes:
    """The key that encrypts target servers' passwords: from the setting, or the file it names.

    Raises:
        SettingsError: neither is set, or the file cannot be read.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().strip().encode()
    if settings.secret_key_file is None:
        raise SettingsError(f"set {PREFIX}SECRET_KEY or {PREFIX}SECRET_KEY_FILE: it encrypts target servers' passwords")
    try:
        return settings.secret_key_file.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{PREFIX}SECRET_KEY_FILE: {error}") from None
