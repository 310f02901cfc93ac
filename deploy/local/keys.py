"""What a new data folder is given once: the administrator's password and token, the sealing key, a certificate."""

import ipaddress
import os
import secrets
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.ports import LOOPBACK

SECRET_FILES = {
    "UNDERSTUDY_ADMIN_PASSWORD_FILE": "admin-password",
    "UNDERSTUDY_ADMIN_TOKEN_FILE": "admin-token",
    "UNDERSTUDY_SECRET_KEY_FILE": "secret-key",
}
CERTIFICATE, KEY = "tls-cert.pem", "tls-key.pem"
# Nobody renews the certificate of a trial.
CERTIFICATE_DAYS = 3650


def make_keys(data: Path) -> None:
    """Make what is missing."""
    for name, text in (
        ("admin-password", secrets.token_urlsafe(12)),
        ("admin-token", secrets.token_urlsafe(32)),
        ("secret-key", secrets.token_urlsafe(32)),
    ):
        if not (data / name).exists():
            write_secret(data / name, f"{text}\n".encode())
    if not ((data / CERTIFICATE).exists() and (data / KEY).exists()):
        _make_certificate(data)


def password_to_show(data: Path) -> str:
    """The administrator's password at the first good start; where it is at the later ones."""
    shown = data / "password-shown"
    if shown.exists():
        return f"in {data / 'admin-password'}"
    shown.touch()
    return (data / "admin-password").read_text().strip()


def settings_of_keys(data: Path) -> dict[str, str]:
    """The settings that name these files to the services."""
    files = {**SECRET_FILES, "UNDERSTUDY_TLS_CERT_FILE": CERTIFICATE, "UNDERSTUDY_TLS_KEY_FILE": KEY}
    return {setting: str(data / name) for setting, name in files.items()}


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _make_certificate(data: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "understudy")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in _host_names()]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client whose clock is a little behind should not refuse it.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_secret(data / KEY, private)
    write_secret(data / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
    (data / CERTIFICATE).chmod(0o644)


def _host_names() -> list[str]:
    """localhost and, where it can stand in a certificate, this machine's own name."""
    own = socket.gethostname()
    return ["localhost", own] if own.isascii() and own not in ("", "localhost") else ["localhost"]
