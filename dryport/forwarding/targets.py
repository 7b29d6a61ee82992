"""What is forwarded where: ``SERVICE=URL``, ``SERVICE=aws``, ``SERVICE=moto``. Pure but for a look at what is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from urllib.parse import urlsplit

from dryport.control.config import Forward
from dryport.gateway.models import SERVICES, source

AWS, MOTO = "aws", "moto"
PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2")


class Wrong(ValueError):
    """What was asked for cannot be done; the text says why."""


def read(texts: Iterable[str]) -> tuple[Forward, ...]:
    """What the command line asks for. Raises Wrong."""
    found: dict[str, Forward] = {}
    for text in texts:
        service, equals, where = text.partition("=")
        if not equals or not service or not where:
            raise Wrong(f"{text!r} is not SERVICE=URL, SERVICE=aws or SERVICE=moto")
        if service in found:
            raise Wrong(f"{service} is forwarded twice")
        found[service] = _forward(service, where)
    return tuple(found.values())


def _forward(service: str, where: str) -> Forward:
    if service in SERVICES:
        raise Wrong(f"{service} is served by Dryport itself, and so is not forwarded")
    if source(service) is None:
        raise Wrong(f"{service} is no service of AWS's by the name that boto3 and the AWS CLI have for it")
    if where == MOTO and importlib.util.find_spec("moto") is None:
        raise Wrong("moto is not installed: pip install 'dryport[moto]', in the Python environment of Dryport's")
    if where not in (AWS, MOTO):
        parts = urlsplit(where)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise Wrong(f"{where!r} is neither a URL (http://host:port) nor aws nor moto")
        if parts.username or parts.password:
            raise Wrong("a URL holds no credentials: they come from a file (--forward-credentials)")
    return Forward(service=service, to=where.rstrip("/"))
