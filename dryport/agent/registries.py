"""Credentials of registries that the instance's settings hold, for images whose task definition names none.

Source: "Private registry authentication for container instances", Amazon ECS developer guide.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from dryport.agent.runtime import RegistryAuth

_DOCKER_HUB = "docker.io"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


def read(data: Mapping[str, Mapping[str, str]]) -> dict[str, RegistryAuth]:
    """Credentials by registry, from either form: ``username`` and ``password``, or ``auth``, which is both in base64.

    Raises ValueError, whose text has no secret.
    """
    found = {}
    for address, entry in data.items():
        username, password = entry.get("username", ""), entry.get("password", "")
        if encoded := entry.get("auth"):
            try:
                username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise ValueError(f"auth of {address} is no base64 of user:password") from None
        if not username or not password:
            raise ValueError(f"{address} has neither auth nor username and password")
        found[_host(address)] = RegistryAuth(username=username, password=password)
    return found


def of_image(image: str, known: Mapping[str, RegistryAuth]) -> RegistryAuth | None:
    """The credentials for an image's registry."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return known.get(_host(first) if named else _DOCKER_HUB)


def _host(address: str) -> str:
    host = address.partition("://")[2] or address
    host = host.partition("/")[0]
    return _DOCKER_HUB if host in _HUB_NAMES else host
