"""What other services may call: offering public parameters (under ``/aws/service/``), and finding managed machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dryport.aws.arn import Arn
from dryport.ssm import machines, model
from dryport.ssm.machines import ManagedInstance
from dryport.ssm.names import Reference, reference
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


def value(reader: Reader, account: str, region: str, text: str) -> str | None:
    """The plain value of the parameter that ``name``, ``name:version``, ``name:label`` or an ARN means.

    ``None`` where there is none, or where it is a ``SecureString``.
    """
    wanted = reference(text)
    if wanted.name.startswith("/aws/service/"):
        offered = public(reader, region, wanted.name)
        return offered.value if offered is not None else None
    if (wanted.owner or account, wanted.region or region) != (account, region):
        return None
    # An ARN has one slash between "parameter" and the name, whether or not the name begins with one.
    names = [wanted.name] if wanted.owner is None else [wanted.name, wanted.name.removeprefix("/")]
    for name in names:
        parameter = reader.get(model.PARAMETERS, model.key(account, region, name))
        if parameter is not None:
            version = _version(reader, parameter, wanted)
            return version.value if version is not None and version.type != "SecureString" else None
    return None


def _version(reader: Reader, parameter: model.Parameter, wanted: Reference) -> model.Version | None:
    if not wanted.selector:
        return model.latest(reader, parameter)
    if wanted.selector.isdecimal():
        return reader.get(model.VERSIONS, model.version_key(parameter.key, int(wanted.selector)))
    found = reader.find(model.VERSIONS, "parameter", parameter.key)
    return next((each for each in found if wanted.selector in each.labels), None)


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


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    kind, _, name = parts.resource.partition("/")
    if kind == "managed-instance":
        machine = managed_instance(reader, parts.account, parts.region, name)
        return machine.tags if machine is not None else {}
    if kind != "parameter":
        return None
    both = (reader.get(model.PARAMETERS, model.key(parts.account, parts.region, one)) for one in (f"/{name}", name))
    found = next((one for one in both if one is not None), None)
    return found.tags if found is not None else {}
