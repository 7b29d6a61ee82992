"""Sealing of secrets before they are stored: AES-256-GCM (NIST SP 800-38D) under a key in the state directory.

Whoever copies the store alone learns nothing, and a sealed value opens only in the place that it was sealed for.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Broken(Exception):
    """A sealed value that does not open: altered, of another place, or sealed under another key."""


class Sealer:
    """Seals and opens. The key file is made, with mode 0600, when it is first needed.

    ``random`` must be a cryptographic source: a nonce must never come twice.
    """

    def __init__(self, key_file: Path, random: Random) -> None:
        self._key_file = key_file
        self._random = random
        self._cipher: AESGCM | None = None
        self._secret: bytes | None = None

    def seal(self, secret: bytes, place: str) -> bytes:
        """The secret, sealed for a place (an ARN and a version, say)."""
        nonce = self._random.randbytes(_NONCE_BYTES)
        return nonce + self._ready().encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The secret that was sealed for this place. Raises Broken where it does not open."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._ready().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise Broken(f"the secret of {place} does not open with {self._key_file}") from error

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, always the same (HMAC-SHA-256, NIST SP 800-108)."""
        if self._secret is None:
            self._secret = self._key()
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def _ready(self) -> AESGCM:
        if self._cipher is None:
            # Only where there are secrets: the library takes megabytes of memory.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._key())
        return self._cipher

    def _key(self) -> bytes:
        if not self._key_file.exists():
            fresh = self._key_file.with_name(f".{self._key_file.name}.{self._random.getrandbits(64):x}")
            handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(self._random.randbytes(_KEY_BYTES))
                file.flush()
                os.fsync(handle)
            # A link does not replace a key that someone else made meanwhile.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, self._key_file)
            fresh.unlink()
            _flush_directory(self._key_file.parent)
        return self._key_file.read_bytes()


def _flush_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
