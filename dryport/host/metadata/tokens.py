"""Tokens of version 2: for one instance and so many seconds, recognised by their signature; none is stored."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import struct
from pathlib import Path

_SHAPE = struct.Struct(">Q")
LONGEST = 21_600  # seconds


class Tokens:
    """Issues tokens with one secret key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, instance_id: str, ttl: int, now: float) -> str:
        """A token that is good for so many seconds."""
        until = _SHAPE.pack(int(now) + ttl)
        nonce = secrets.token_bytes(8)
        return base64.urlsafe_b64encode(until + nonce + self._sign(instance_id, until + nonce)).decode()

    def left(self, token: str, instance_id: str, now: float) -> int:
        """How many seconds a token is still good for; 0 where it is not, or is another instance's."""
        try:
            data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except ValueError:
            return 0
        head, signature = data[:16], data[16:]
        if len(head) < 16 or not hmac.compare_digest(signature, self._sign(instance_id, head)):
            return 0
        return max(0, int(_SHAPE.unpack(head[:8])[0] - now))

    def _sign(self, instance_id: str, head: bytes) -> bytes:
        return hmac.new(self._key, head + instance_id.encode(), hashlib.sha256).digest()[:24]


def key(path: Path) -> bytes:
    """The key that is kept in a file (0600), made where there is none: tokens outlive the driver's process."""
    try:
        kept = path.read_bytes()
        if len(kept) == 32:
            return kept
    except FileNotFoundError:
        pass
    made = secrets.token_bytes(32)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    return made
