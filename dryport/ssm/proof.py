"""How a managed machine proves who it is: Ed25519 (RFC 8032) over its request. Pure."""

from __future__ import annotations

from dryport.aws.proof import KEY_BYTES, text_to_sign

SKEW_SECONDS = 300.0


def is_key(public_key: bytes) -> bool:
    """Whether these bytes can be a machine's public key."""
    return len(public_key) == KEY_BYTES


def proves(public_key: bytes, signature: bytes, method: str, path: str, date: str, body: bytes) -> bool:
    """Whether a request was signed with the private half of this key."""
    # Imported here: few control planes have such machines, and the library is large.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text_to_sign(method, path, date, body))
    except InvalidSignature:
        return False
    return True
