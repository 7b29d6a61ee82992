"""AWS's service authorization reference, a service at a time (``bin/_actions.py`` makes the file)."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import msgspec

from dryport.gateway.models import ServiceModel

_FILE = Path(__file__).with_name("actions.zip")
# IAM's prefix of services that it is neither the signature's nor the endpoint's nor botocore's name of.
_PREFIXES = {"iot-data": "iot", "iot-jobs-data": "iotjobsdata", "resourcegroupstaggingapi": "tag"}


class ResourceType(msgspec.Struct, frozen=True):
    """A type of resource: its ARN's template (``arn:${Partition}:sqs:…:${QueueName}``), and condition keys."""

    arn: str
    keys: list[str] = []


class Action(msgspec.Struct, frozen=True):
    """An action: its types of resources (none: ``*``), and its condition keys."""

    name: str
    types: list[str] = []
    keys: list[str] = []


class Reference(msgspec.Struct, frozen=True):
    """What the reference has of a service, by names in lower case."""

    types: dict[str, ResourceType]
    actions: dict[str, Action]


@cache
def reference(prefix: str) -> Reference:
    """The reference of a service by IAM's prefix. Raises KeyError."""
    with zipfile.ZipFile(_FILE) as archive:
        return msgspec.json.decode(archive.read(f"{prefix}.json"), type=Reference)


@cache
def _prefixes() -> frozenset[str]:
    with zipfile.ZipFile(_FILE) as archive:
        return frozenset(name.removesuffix(".json") for name in archive.namelist())


def prefix(model: ServiceModel) -> str | None:
    """What IAM calls a service; ``None`` where the reference does not have it."""
    metadata = model.metadata
    tried = (_PREFIXES.get(model.name, ""), metadata.signing_name, model.name, metadata.endpointPrefix)
    return next((one for one in tried if one in _prefixes()), None)
