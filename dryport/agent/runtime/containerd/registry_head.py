"""Asks a registry what a name stands for now, without pulling: one HEAD request (OCI distribution specification).

Only a plain answer counts. Whatever else comes (a refusal, a challenge, a redirect, silence) means "pull", which knows
every kind of registry and has the words for errors.
"""

from __future__ import annotations

import aiohttp

from dryport.agent.runtime.containerd.registry_hosts import is_local, registry_of
from dryport.agent.runtime.interface import RegistryAuth

_TIMEOUT = aiohttp.ClientTimeout(total=5)  # seconds
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class RegistryHead:
    """Connections to registries, kept open from one question to the next."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._challenging: set[str] = set()  # registries that give no plain answer: they are not asked again

    async def digest(self, name: str, auth: RegistryAuth | None) -> str | None:
        """The digest of the manifest or index behind a canonical name; ``None`` where only a pull can tell."""
        registry = registry_of(name)
        if not registry or registry in self._challenging:
            return None
        path, _, reference = name.removeprefix(f"{registry}/").partition("@")
        if not reference:
            path, _, reference = path.rpartition(":")
        url = f"{'http' if is_local(registry) else 'https'}://{registry}/v2/{path}/manifests/{reference}"
        headers = {"Accept": ", ".join(_KINDS)}
        if auth is not None:
            headers["Authorization"] = aiohttp.BasicAuth(auth.username, auth.password, "utf-8").encode()
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.head(url, headers=headers, allow_redirects=False) as answer:
                if answer.status == 401 and "Bearer" in answer.headers.get("WWW-Authenticate", ""):
                    self._challenging.add(registry)
                return answer.headers.get("Docker-Content-Digest") if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
