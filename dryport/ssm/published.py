"""What other services may call: offering public parameters (under ``/aws/service/``), and finding managed machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dryport.ssm import machines
from dryport.ssm.machines import ManagedInstance
from dryport.store import Reader


@dataclass(frozen=True, slots=True)
class PublicParameter:
    """A parameter that every account may read. ``modified_at`` is in seconds since the epoch."""

    name: str
    value: str
    version: int = 1
    modified_at: float = 0.0
    type: str = "String"
    data_type: str = "text"


# Given a reader and a region: what is there now.
PublicResolver = Callable[[Reader, str], Iterable[PublicParameter]]

_resolvers: dict[str, PublicResolver] = {}


def register_public(prefix: str, resolver: PublicResolver) -> None:
    """Offer public parameters whose names start with ``prefix``, such as ``/aws/service/ecs/``."""
    _resolvers[prefix] = resolver


def public(reader: Reader, region: str, name: str) -> PublicParameter | None:
    """The public parameter of this name in a region, or ``None``."""
    return next((parameter for parameter in public_under(reader, region, name) if parameter.name == name), None)


def public_under(reader: Reader, region: str, path: str) -> list[PublicParameter]:
    """The public parameters of a region whose names start with ``path``."""
    found = []
    for prefix, resolver in _resolvers.items():
        if path.startswith(prefix) or prefix.startswith(path):
            found += [parameter for parameter in resolver(reader, region) if parameter.name.startswith(path)]
    return found


def managed_instance(reader: Reader, account: str, region: str, instance_id: str) -> ManagedInstance | None:
    """A machine that joined this account and region by an activation, and has not left."""
    return machines.of(reader, account, region, instance_id)
