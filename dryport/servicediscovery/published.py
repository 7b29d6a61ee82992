"""What other services may ask of Cloud Map: plain functions inside their own transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from dryport.aws import arn
from dryport.aws.arn import Arn
from dryport.servicediscovery import model, registering
from dryport.servicediscovery.model import Instance, Namespace, Service
from dryport.store import Reader, Transaction


def service(reader: Reader, service_arn: str) -> Service | None:
    """The service of an ARN."""
    parsed = arn.parse(service_arn)
    if parsed is None or parsed.service != "servicediscovery" or not parsed.resource.startswith("service/"):
        return None
    found = reader.get(model.SERVICES, parsed.resource.removeprefix("service/"))
    return found if found is not None and found.arn == service_arn else None


def namespace(reader: Reader, account: str, region: str, identifier: str) -> Namespace | None:
    """The namespace of an account in a region of this name or ARN; of several of a name the oldest."""
    if identifier.startswith("arn:"):
        found = reader.get(model.NAMESPACES, identifier.rpartition("/")[2])
        named = [found] if found is not None and found.arn == identifier else []
    else:
        named = list(reader.find(model.NAMESPACES, "name", model.scope(account, region, identifier)))
    mine = [each for each in named if (each.account, each.region) == (account, region) and each.state != "deleting"]
    return mine[0] if mine else None


def create_namespace(
    tx: Transaction, random: Random, now: float, account: str, region: str, name: str, tags: Mapping[str, str]
) -> Namespace:
    """A new namespace that DiscoverInstances alone knows, and so is there at once."""
    made = Namespace(
        id=model.new_id(random, "ns"),
        account=account,
        region=region,
        name=name,
        type=model.HTTP,
        created_at=now,
        state="active",
        tags=dict(tags),
    )
    tx.put(model.NAMESPACES, made)
    return made


def named(reader: Reader, namespace_id: str, name: str) -> Service | None:
    """The service of a namespace that has this name."""
    return next(iter(reader.find(model.SERVICES, "name", f"{namespace_id}/{name.lower()}")), None)


def create_service(
    tx: Transaction, random: Random, now: float, space: Namespace, name: str, tags: Mapping[str, str]
) -> Service:
    """A new service of a namespace that only the API knows; there must be none of this name."""
    made = Service(
        id=model.new_id(random, "srv"),
        namespace_id=space.id,
        account=space.account,
        region=space.region,
        name=name,
        created_at=now,
        tags=dict(tags),
    )
    tx.put(model.SERVICES, made)
    return made


def delete_service(tx: Transaction, service_id: str) -> bool:
    """Delete a service, unless it has instances; whether it is gone."""
    if tx.count(model.INSTANCES, "service", service_id):
        return False
    if tx.get(model.SERVICES, service_id) is not None:
        tx.delete(model.SERVICES, service_id)
    return True


def instances(reader: Reader, service_id: str) -> Sequence[Instance]:
    """The instances of a service."""
    return reader.find(model.INSTANCES, "service", service_id)


def register(
    tx: Transaction, random: Random, now: float, service: Service, instance_id: str, attributes: Mapping[str, str]
) -> None:
    """Have an instance discovered. Raises ServiceError where its attributes are not what the service needs."""
    registering.check(service, instance_id, attributes)
    registering.register(tx, random, now, service, instance_id, attributes)


def deregister(tx: Transaction, random: Random, now: float, service_id: str, instance_id: str) -> None:
    """Have an instance discovered no more, if it is; ``settled`` says when name servers have forgotten it."""
    found = tx.get(model.SERVICES, service_id)
    if found is not None and tx.get(model.INSTANCES, model.instance_key(service_id, instance_id)) is not None:
        registering.deregister(tx, random, now, found, instance_id)


def settled(reader: Reader, service_id: str, instance_id: str) -> bool:
    """Whether everything that was asked for an instance is done. Watch OPERATIONS."""
    return not reader.keys(model.OPERATIONS, "instance", model.instance_key(service_id, instance_id))


def set_health(tx: Transaction, service_id: str, instance_id: str, *, healthy: bool) -> None:
    """Tell the health of an instance, if it is there and its service has custom health."""
    found = tx.get(model.INSTANCES, model.instance_key(service_id, instance_id))
    known = tx.get(model.SERVICES, service_id)
    if found is not None and known is not None and known.custom_health:
        registering.set_health(tx, found, model.HEALTHY if healthy else model.UNHEALTHY)


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    kind, _, name = parts.resource.partition("/")
    if kind == "namespace":
        namespace = reader.get(model.NAMESPACES, name)
        return namespace.tags if namespace is not None else {}
    found = reader.get(model.SERVICES, name)
    return found.tags if found is not None else {}
