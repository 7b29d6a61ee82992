"""Authorization tokens and signed download addresses: statements that this server made, with its signature.

Neither is stored: a server that knows its secret knows them again. In the form of ECR's own tokens a password is
Base64 of a JSON object with ``payload`` and ``expiration``. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

TOKEN_SECONDS = 12 * 3600.0  # as in ECR
DOWNLOAD_SECONDS = 3600.0  # as in ECR
USER = "AWS"


class InvalidToken(ValueError):
    """No token of this server."""


class ExpiredToken(ValueError):
    """A token of this server whose time is over."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a token was made, in which region, and until when (seconds since the epoch).

    ``role_arn`` and ``identity`` are as a credential has them; a ``limited`` token is worth nothing without it.
    """

    account: str
    region: str
    principal_arn: str
    user_id: str
    access_key_id: str
    expires: float
    role_arn: str | None = None
    identity: str | None = None
    limited: bool = False


class _Password(msgspec.Struct):
    payload: str
    datakey: str
    version: str
    type: str
    expiration: int


def _signature(secret: bytes, purpose: bytes, text: bytes) -> str:
    digest = hmac.new(secret, purpose + b"\0" + text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def issue(secret: bytes, claims: Claims) -> str:
    """The password that says these claims."""
    payload = msgspec.json.encode(claims)
    password = _Password(
        payload=base64.b64encode(payload).decode(),
        datakey=_signature(secret, b"token", payload),
        version="2",
        type="DATA_KEY",
        expiration=int(claims.expires),
    )
    return base64.b64encode(msgspec.json.encode(password)).decode()


def read(secret: bytes, password: str, now: float) -> Claims:
    """The claims of a password. Raises InvalidToken and ExpiredToken."""
    try:
        outer = msgspec.json.decode(base64.b64decode(password, validate=True), type=_Password)
        payload = base64.b64decode(outer.payload, validate=True)
        if not hmac.compare_digest(outer.datakey.encode(), _signature(secret, b"token", payload).encode()):
            raise InvalidToken("the signature is not this server's")
        claims = msgspec.json.decode(payload, type=Claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise InvalidToken("not a token of this server") from error
    if claims.expires <= now:
        raise ExpiredToken("the token has expired")
    return claims


def parse_basic(authorization: str) -> tuple[str, str]:
    """User and password of a Basic Authorization header (RFC 7617). Raises InvalidToken."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidToken("not Basic")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError) as error:
        raise InvalidToken("not Base64") from error
    if not colon:
        raise InvalidToken("no password")
    return user, password


def sign_download(secret: bytes, repository_arn: str, digest: str, expires: int) -> str:
    """The signature of an address under which a layer can be fetched without a token until ``expires``."""
    return _signature(secret, b"download", f"{repository_arn}@{digest}@{expires}".encode())


def may_download(secret: bytes, repository_arn: str, digest: str, expires: int, signature: str, now: float) -> bool:
    """Whether such an address is this server's and still good."""
    wanted = sign_download(secret, repository_arn, digest, expires)
    return now < expires and hmac.compare_digest(signature.encode(), wanted.encode())
