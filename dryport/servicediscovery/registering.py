"""Instances come and go: what their attributes must be, and what is written. For the API and for other services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from random import Random

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.servicediscovery import model
from dryport.servicediscovery.model import Instance, Operation, Service
from dryport.servicediscovery.records import ATTRIBUTE, PORT, name_of
from dryport.store import Transaction

_MOST_INSTANCES = 1000  # a service ("AWS Cloud Map quotas")
_MOST_CUSTOM = 30
_MOST_CHARACTERS = 5000
_LONGEST_NAME = 253
_INITIAL = "AWS_INIT_HEALTH_STATUS"
_REFUSED = ("AWS_ALIAS_DNS_NAME", "AWS_EC2_INSTANCE_ID")  # nothing acts on them yet
_AWS = (*ATTRIBUTE.values(), PORT, _INITIAL, *_REFUSED)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


def invalid(message: str) -> ServiceError:
    """Cloud Map's error for what is asked wrongly."""
    return ServiceError("InvalidInput", message)


def check(service: Service, instance_id: str, attributes: Mapping[str, str]) -> None:
    """Refuse attributes that the service's records cannot be made of. Raises ServiceError (InvalidInput)."""
    for name in _REFUSED:
        if name in attributes:
            raise invalid(f"Dryport does not act on the attribute {name} of an instance, and so refuses it.")
    for kind in service.ttls:
        if kind != "SRV" and ATTRIBUTE[kind] not in attributes:
            raise invalid(f"Required attribute {ATTRIBUTE[kind]} is missing: the service has a record of type {kind}.")
    if "SRV" in service.ttls:
        if PORT not in attributes:
            raise invalid(f"Required attribute {PORT} is missing: the service has a record of type SRV.")
        if not {"AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"} & attributes.keys():
            raise invalid("AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required: the service has a record of type SRV.")
        if not _HOST.fullmatch(instance_id):
            raise invalid(f"Instance ID {instance_id} cannot be part of the name in an SRV record.")
    _check_values(attributes)
    if _INITIAL in attributes and not service.custom_health:
        raise invalid(f"{_INITIAL} can be specified for services with HealthCheckCustomConfig only.")
    if sum(name not in _AWS for name in attributes) > _MOST_CUSTOM:
        raise invalid(f"An instance cannot have more than {_MOST_CUSTOM} custom attributes.")
    if sum(len(name) + len(value) for name, value in attributes.items()) > _MOST_CHARACTERS:
        raise invalid(f"The total size of the attributes cannot exceed {_MOST_CHARACTERS} characters.")


def _check_values(attributes: Mapping[str, str]) -> None:
    for name, kind in (("AWS_INSTANCE_IPV4", IPv4Address), ("AWS_INSTANCE_IPV6", IPv6Address)):
        if name in attributes:
            try:
                kind(attributes[name])
            except ValueError:
                raise invalid(f"{name} is not a valid IP address: {attributes[name]}") from None
    port = attributes.get(PORT, "1")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        raise invalid(f"{PORT} must be between 1 and 65535: {port}")
    if "AWS_INSTANCE_CNAME" in attributes and not _HOST.fullmatch(attributes["AWS_INSTANCE_CNAME"]):
        raise invalid(f"AWS_INSTANCE_CNAME is not a valid domain name: {attributes['AWS_INSTANCE_CNAME']}")
    if attributes.get(_INITIAL, model.HEALTHY) not in (model.HEALTHY, model.UNHEALTHY):
        raise invalid(f"{_INITIAL} must be HEALTHY or UNHEALTHY.")


def register(
    tx: Transaction,
    random: Random,
    now: float,
    service: Service,
    instance_id: str,
    attributes: Mapping[str, str],
    request_id: str = "",
) -> Operation:
    """Write an instance that was checked; one that is there becomes what it is now. Raises ServiceError."""
    known = tx.get(model.INSTANCES, model.instance_key(service.id, instance_id))
    if known is None and tx.count(model.INSTANCES, "service", service.id) >= _MOST_INSTANCES:
        raise ServiceError("ResourceLimitExceeded", f"A service cannot have more than {_MOST_INSTANCES} instances.")
    _check_length(tx, service, instance_id)
    kept = known.health if known is not None else model.HEALTHY
    made = Instance(
        id=instance_id,
        service_id=service.id,
        account=service.account,
        attributes=dict(attributes),
        creator_request_id=request_id,
        health=attributes.get(_INITIAL, kept),
    )
    tx.put(model.INSTANCES, made)
    grow(tx, service.id)
    return operation(tx, random, now, service, "REGISTER_INSTANCE", INSTANCE=instance_id, SERVICE=service.id)


def _check_length(tx: Transaction, service: Service, instance_id: str) -> None:
    namespace = tx.get(model.NAMESPACES, service.namespace_id)
    if namespace is None or "SRV" not in service.ttls:
        return
    if len(f"{instance_id}.{name_of(namespace, service)}") > _LONGEST_NAME:
        raise invalid(f"The name of instance {instance_id} is too long for a domain name.")


def deregister(tx: Transaction, random: Random, now: float, service: Service, instance_id: str) -> Operation:
    """Take an instance away."""
    tx.delete(model.INSTANCES, model.instance_key(service.id, instance_id))
    grow(tx, service.id)
    return operation(tx, random, now, service, "DEREGISTER_INSTANCE", INSTANCE=instance_id, SERVICE=service.id)


def set_health(tx: Transaction, instance: Instance, status: str) -> None:
    """Note the health that somebody tells of an instance."""
    if instance.health != status:
        tx.put(model.INSTANCES, replace(instance, health=status))
        grow(tx, instance.service_id)


def grow(tx: Transaction, service_id: str) -> None:
    """A service's instances are others than before."""
    service = tx.get(model.SERVICES, service_id)
    if service is not None:
        tx.put(model.SERVICES, replace(service, revision=service.revision + 1))


def operation(tx: Transaction, random: Random, now: float, service: Service, kind: str, **targets: str) -> Operation:
    """Note what is to be done for a service."""
    made = Operation(
        id=model.operation_id(random),
        account=service.account,
        region=service.region,
        type=kind,
        targets=targets,
        namespace_id=service.namespace_id,
        created_at=now,
        updated_at=now,
    )
    tx.put(model.OPERATIONS, made)
    return made
