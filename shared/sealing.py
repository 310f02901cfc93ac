"""Target servers' passwords at rest: sealed with the key from the settings, opened only where a session needs them."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken


class SealBroken(Exception):
    """The sealed password was made with another key, or is damaged."""


class Seal:
    """Seals and opens with one key; any non-empty bytes serve as a key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the secret key has to be at least 16 bytes long")
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.blake2b(key, digest_size=32, person=b"target").digest()))

    def close(self, password: str) -> bytes:
        return self._fernet.encrypt(password.encode())

    def open(self, sealed: bytes) -> str:
        """Raises SealBroken."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SealBroken from None
