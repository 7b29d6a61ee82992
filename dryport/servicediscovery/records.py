"""The zone that a private namespace is in its VPC. Pure.

Source: "DnsRecord", "RoutingPolicy" and "RegisterInstance", Cloud Map API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dryport.host.messages import PrivateZone, RecordSet
from dryport.servicediscovery.model import HEALTHY, Instance, Namespace, Service

MOST_ANSWERED = 8  # values of an answer of the MULTIVALUE policy
ATTRIBUTE = {"A": "AWS_INSTANCE_IPV4", "AAAA": "AWS_INSTANCE_IPV6", "CNAME": "AWS_INSTANCE_CNAME"}
PORT = "AWS_INSTANCE_PORT"
_PRIORITY_AND_WEIGHT = "1 1"


def zone(namespace: Namespace, services: Iterable[Service], instances: Mapping[str, Sequence[Instance]]) -> PrivateZone:
    """A namespace's zone; ``instances`` are by their service's id."""
    records: dict[str, dict[str, RecordSet]] = {}
    for service in services:
        if service.ttls:
            records.update(_of_service(namespace, service, instances.get(service.id, ())))
    return PrivateZone(name=namespace.name.lower().rstrip("."), soa_ttl=namespace.soa_ttl, records=records)


def name_of(namespace: Namespace, service: Service) -> str:
    """The name that a service has, lower case without a final dot; ``.`` stands for the namespace's own."""
    domain = namespace.name.lower().rstrip(".")
    return domain if service.name == "." else f"{service.name.lower()}.{domain}"


def _of_service(
    namespace: Namespace, service: Service, instances: Sequence[Instance]
) -> dict[str, dict[str, RecordSet]]:
    name = name_of(namespace, service)
    found: dict[str, dict[str, RecordSet]] = {}
    # Where all are unhealthy, all are answered: Route 53 does so too.
    well = [each for each in instances if each.health == HEALTHY or not service.custom_health] or list(instances)
    most = 1 if service.routing_policy == "WEIGHTED" else MOST_ANSWERED
    for kind, ttl in service.ttls.items():
        values = [value for each in well for value in [_value(kind, each, name)] if value]
        if values:
            found.setdefault(name, {})[kind] = RecordSet(ttl=ttl, values=list(dict.fromkeys(values)), most=most)
    if "SRV" in service.ttls:
        for each in instances:
            for kind in ("A", "AAAA"):
                if address := each.attributes.get(ATTRIBUTE[kind]):
                    target = f"{each.id.lower()}.{name}"
                    found.setdefault(target, {})[kind] = RecordSet(ttl=service.ttls["SRV"], values=[address], most=1)
    return found


def _value(kind: str, instance: Instance, name: str) -> str:
    if kind != "SRV":
        value = instance.attributes.get(ATTRIBUTE[kind], "")
        return f"{value.rstrip('.')}." if kind == "CNAME" and value else value
    port = instance.attributes.get(PORT)
    return f"{_PRIORITY_AND_WEIGHT} {port} {instance.id.lower()}.{name}." if port else ""
