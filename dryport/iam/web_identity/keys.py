"""The public keys of OpenID Connect providers, fetched from where their discovery documents say.

A provider's certificate must be one that this machine trusts, or must chain to one whose thumbprint (SHA-1, in
hexadecimal) is stored with the provider. All of it blocks: it runs in a thread.

Source: OpenID Connect Discovery 1.0; "Obtain the thumbprint for an OpenID Connect identity provider", IAM user guide.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

KEEP_SECONDS = 900.0
_AGAIN_SECONDS = 10.0  # at the earliest, a key that is not among the known ones is looked for again
_TIMEOUT = 5.0  # seconds of each wait for the provider
_BYTES = 256 * 1024
Keys = list[dict[str, Any]]


class Unreachable(Exception):
    """A provider that cannot be asked."""


class Unusable(Exception):
    """What a provider answers is no discovery document, or no set of keys."""


class KeyRing:
    """Keys of providers, kept for a while."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[str, ...]], tuple[float, Keys]] = {}

    async def of(self, url: str, thumbprints: Sequence[str], now: float, *, fresh: bool = False) -> Keys:
        """The keys of the provider at ``https://<url>``. Raises Unreachable, Unusable.

        With ``fresh`` only those that were fetched just now are given again.
        """
        name = url, tuple(thumbprints)
        kept = self._known.get(name)
        if kept is not None and now - kept[0] < (_AGAIN_SECONDS if fresh else KEEP_SECONDS):
            return kept[1]
        found = await asyncio.to_thread(_fetch, f"https://{url}", name[1])
        if len(self._known) > 100:
            self._known.clear()
        self._known[name] = now, found
        return found


def thumbprint(url: str) -> str:
    """The thumbprint of the last certificate that the server of ``https://<url>`` shows. Raises Unreachable."""
    parts = urlsplit(f"https://{url}")
    try:
        return hashlib.sha1(_chain(parts.hostname or "", parts.port or 443)[-1]).hexdigest()
    except (OSError, ValueError, IndexError) as error:
        raise Unreachable(f"{parts.netloc}: {error}") from None


def _fetch(issuer: str, thumbprints: Sequence[str]) -> Keys:
    where = _json(f"{issuer.rstrip('/')}/.well-known/openid-configuration", thumbprints)
    keys_at = where.get("jwks_uri")
    if where.get("issuer") != issuer or not isinstance(keys_at, str) or urlsplit(keys_at).scheme != "https":
        raise Unusable("the discovery document is of another issuer, or names no keys")
    keys = _json(keys_at, thumbprints).get("keys")
    if not isinstance(keys, list):
        raise Unusable("there are no keys")
    return [key for key in keys if isinstance(key, dict)]


def _json(url: str, thumbprints: Sequence[str]) -> dict[str, Any]:
    from http.client import HTTPException, HTTPSConnection

    parts = urlsplit(url)
    if parts.hostname is None:
        raise Unusable(f"{url} names no host")
    address = parts.hostname, parts.port or 443
    try:
        connection = HTTPSConnection(*address, timeout=_TIMEOUT, context=_context(*address, thumbprints))
        try:
            connection.request("GET", parts.path or "/", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read(_BYTES + 1)
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(f"{parts.netloc}: {error}") from None
    if answer.status != 200 or len(text) > _BYTES:
        raise Unusable(f"{url} answers {answer.status}, {len(text)} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable(f"{url} is no JSON") from None
    if not isinstance(found, dict):
        raise Unusable(f"{url} is no object")
    return found


def _context(host: str, port: int, thumbprints: Sequence[str]) -> ssl.SSLContext:
    """What trusts what the machine does, or where that is not enough, the certificates of the thumbprints alone."""
    import ssl

    ordinary = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT) as plain,
            ordinary.wrap_socket(plain, server_hostname=host),
        ):
            return ordinary
    except ssl.SSLCertVerificationError:
        pinned = [der for der in _chain(host, port) if hashlib.sha1(der).hexdigest() in thumbprints]
        if not pinned:
            raise
    # The pinned certificate is the anchor: the server's own must be signed by it (or be it), and name the host.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, pinned)))
    return context


def _chain(host: str, port: int) -> list[bytes]:
    """The certificates that a server shows, unverified."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), _TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host) as shown,
    ):
        inner: Any = getattr(shown, "_sslobj", shown)  # public from Python 3.13 on
        chain = inner.get_unverified_chain() or ()
        return [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain]
