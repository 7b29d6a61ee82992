"""JSON Web Tokens: read, and checked against public keys. Pure.

Source: RFC 7515 (JWS), 7517 (JWK), 7518 (algorithms), 7519 (JWT); "AssumeRoleWithWebIdentity", STS API reference.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dryport.aws.errors import ServiceError

SKEW_SECONDS = 300.0
_HASHES = {"256": "SHA256", "384": "SHA384", "512": "SHA512"}
_CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}
_RSA_BITS = range(2048, 4097)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was read; its signature is not checked yet."""

    header: Json
    claims: Json
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """Who says that it issued it."""
        return str(self.claims["iss"])

    @property
    def subject(self) -> str:
        """Whom it is about."""
        return str(self.claims["sub"])

    @property
    def audience(self) -> str:
        """For whom it is: the party that was authorized, where it names one; else the first audience."""
        return str(self.claims["azp"]) if self.claims.get("azp") else self.audiences[0]

    @property
    def audiences(self) -> list[str]:
        """Every audience."""
        found = self.claims["aud"]
        return [str(one) for one in found] if isinstance(found, list) else [str(found)]


def invalid(message: str) -> ServiceError:
    """The refusal of a token."""
    return ServiceError("InvalidIdentityToken", message, 400)


def read(text: str, now: float) -> Token:
    """A token with all the claims that it needs, in its time. Raises ServiceError."""
    try:
        head, body, signature = text.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        token = Token(header, claims, f"{head}.{body}".encode("ascii"), _decoded(signature))
    except (ValueError, RecursionError):
        raise _not_a_token() from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:
        raise _not_a_token()
    for name in ("iss", "sub", "aud", "exp", "iat"):
        if name not in claims or claims[name] in ("", []):
            raise invalid(f"Missing a required claim: {name}")
    if not isinstance(claims["iss"], str) or not isinstance(claims["sub"], str):
        raise _not_a_token()
    expires = _seconds(claims, "exp")
    if expires <= now:
        message = f"Token expired: current date/time {int(now)} must be before the expiration date/time {int(expires)}"
        raise ServiceError("ExpiredTokenException", message, 400)
    for name in ("iat", "nbf"):
        if name in claims and _seconds(claims, name) > now + SKEW_SECONDS:
            raise invalid("The token is not valid yet.")
    return token


def signed_by(token: Token, keys: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of a provider's keys (JWKs) made the signature."""
    algorithm, key_id = str(token.header.get("alg")), token.header.get("kid")
    for key in keys:
        fits = key_id is None or key.get("kid") in (None, key_id)
        for_signing = key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
        if fits and for_signing and _verified(token, key, algorithm):
            return True
    return False


def _verified(token: Token, key: Mapping[str, Any], algorithm: str) -> bool:
    # Loaded with the first token: the library takes megabytes of memory.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes

    digest = _HASHES.get(algorithm[2:])
    if digest is None:
        return False
    try:
        if algorithm.startswith("RS"):
            return _by_rsa(token, key, getattr(hashes, digest)())
        return algorithm in _CURVES and _by_curve(token, key, algorithm, getattr(hashes, digest)())
    except (InvalidSignature, KeyError, ValueError, TypeError, AttributeError):
        return False


def _by_rsa(token: Token, key: Mapping[str, Any], digest: Any) -> bool:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if key.get("kty") != "RSA":
        return False
    public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
    if public.key_size not in _RSA_BITS:
        return False
    public.verify(token.signature, token.signed, padding.PKCS1v15(), digest)
    return True


def _by_curve(token: Token, key: Mapping[str, Any], algorithm: str, digest: Any) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    name, size = _CURVES[algorithm]
    if key.get("kty") != "EC" or key.get("crv") != name or len(token.signature) != 2 * size:
        return False
    curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[name]
    public = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve).public_key()
    halves = (int.from_bytes(token.signature[:size]), int.from_bytes(token.signature[size:]))
    public.verify(utils.encode_dss_signature(*halves), token.signed, ec.ECDSA(digest))
    return True


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text))


def _decoded(text: str) -> bytes:
    if not text.isascii() or set(text) & set("+/=\n\r \t"):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _seconds(claims: Json, name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not_a_token()
    return float(value)


def _not_a_token() -> ServiceError:
    return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
