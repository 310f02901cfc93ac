"""Plays every dialogue of this folder."""

import ipaddress
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.letter import Mode
from shared.mailbox.users import User, Users
from shared.moments import utc_now
from shared.settings import Common, Ingest
from tests.dialogues import script
from tests.dialogues.stage import Player, served
from tests.kit.scope import Scope

FOLDER = Path(__file__).parent
USERS = ("ann@example.test", "bob@example.test", "bob+tag@example.test", "jürgen@example.test")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "understudy.test")])
    now = utc_now()
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
async def small_scope(kafka_bootstrap: str, mongodb_url: str) -> AsyncIterator[Scope]:
    """A corner with few partitions: it is made and taken away in a moment."""
    corner = Scope.new(kafka_bootstrap, mongodb_url).with_partitions(2)
    await corner.make_topics()
    yield corner
    await corner.drop()


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
async def test_dialogue(file: Path, small_scope: Scope, certificate: Path) -> None:
    dialogue = script.read(file)
    database = small_scope.connect()
    users = Users(database)
    for address in USERS:
        await users.add(User(address=address, mode=Mode.STORE_ONLY, created_at=utc_now()))
    overrides = {"smtp_port": 0, "tls_cert_file": certificate, **dialogue.settings}
    waits = not {"kafka_bootstrap", "mongodb_url"} & set(dialogue.settings)
    async with served(small_scope.settings(Ingest, **overrides), waits_for_servers=waits) as (service, port):
        await Player(service, small_scope.settings(Common), port).play(dialogue)
    database.client.close()
