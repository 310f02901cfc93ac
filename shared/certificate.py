"""The certificate that clients are shown, read again when its files change."""

import ssl
from pathlib import Path

from shared import logs
from shared.settings import SettingsError, WithCertificate

log = logs.get("certificate")


class Certificate:
    """Keeps one TLS context for all sessions."""

    def __init__(self, chain: Path, key: Path | None) -> None:
        """Raises OSError: a file cannot be read or is no certificate (ssl.SSLError is one)."""
        self._chain = chain
        self._key = key or chain
        self._read_at = self._changed_at()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """The context of the files as they are now; of the last good ones where these are half written."""
        try:
            changed_at = self._changed_at()
            if changed_at != self._read_at:
                self._context = self._read()
                self._read_at = changed_at
                log.info("certificate_reloaded", file=str(self._chain))
        except OSError as error:
            log.warning("certificate_unreadable", file=str(self._chain), error=str(error))
        return self._context

    def _changed_at(self) -> tuple[int, int]:
        return self._chain.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain, self._key)
        return context


def certificate(settings: WithCertificate) -> Certificate | None:
    """The certificate that the settings name, if they do. Raises SettingsError."""
    if settings.tls_cert_file is None:
        return None
    try:
        return Certificate(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:
        raise SettingsError(f"the certificate {settings.tls_cert_file} cannot be used: {error}") from None
