"""What a managed machine signs of its requests to Dryport. Pure; both sides need it."""

from __future__ import annotations

import hashlib

KEY_BYTES = 32  # of an Ed25519 key


def text_to_sign(method: str, path: str, date: str, body: bytes) -> bytes:
    """Method, path, date (seconds since the epoch) and the body's hash, a line each."""
    return "\n".join((method, path, date, hashlib.sha256(body).hexdigest())).encode()
