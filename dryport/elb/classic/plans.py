"""What is stored of a classic load balancer as its data plane's plan. Pure: functions of a ``Reader``."""

from __future__ import annotations

from collections.abc import Iterable

from dryport.ec2 import published as ec2
from dryport.elb import certificates, model
from dryport.elb.classic import attributes as classic_attributes
from dryport.elb.classic import policies
from dryport.elb.dataplane import plan
from dryport.elb.model import Classic, Listener, LoadBalancer, Policy, Target
from dryport.store import Reader


def of(reader: Reader, stored: LoadBalancer, classic: Classic) -> plan.Balancer:
    """A classic balancer, a group of instances a listener, by its ARN: whatever changes of it, its checks go on.

    Without a listener there is one all the same, for instances are checked then, too.
    """
    attributes = classic_attributes.of(stored)
    across = attributes["cross_zone"] == "true"
    listeners = sorted(reader.find(model.LISTENERS, "load_balancer", stored.arn), key=lambda each: each.port)
    there = [
        plan.Target(address=address, port=0, zone=zone if not across else None, draining=each.state == model.DRAINING)
        for each in reader.find(model.TARGETS, "group", stored.arn)
        for address, zone in places(reader, stored, each)
    ]
    empty = Listener(
        arn=stored.arn, load_balancer=stored.arn, protocol="TCP", port=0, actions=[], instance_protocol="TCP"
    )
    return plan.Balancer(
        arn=stored.arn,
        name=stored.name,
        kind=plan.Kind.CLASSIC,
        scheme=plan.Scheme(stored.scheme),
        vpc_id=stored.vpc_id,
        interfaces=tuple(plan.Interface(zone=each.name, address=each.address) for each in stored.zones),
        listeners=tuple(_listener(each, classic) for each in listeners),
        groups=tuple(_group(stored, classic, each, there, across=across) for each in listeners or [empty]),
        idle_timeout=int(attributes["idle_timeout"]),
        access_log=attributes["access_logs.s3.enabled"] == "true",
    )


def places(reader: Reader, stored: LoadBalancer, target: Target) -> list[tuple[str, str]]:
    """The address and the zone of an instance, where it can get traffic: none otherwise."""
    interface = ec2.primary_interface(reader, target.id)
    found = ec2.instance(reader, stored.account, stored.region, target.id)
    if interface is None or found is None or not in_zone(stored, found.availability_zone):
        return []
    return [(interface.private_ip, found.availability_zone)]


def in_zone(stored: LoadBalancer, zone: str) -> bool:
    """Whether a balancer is on in a zone."""
    return any(each.name == zone for each in stored.zones)


def _group(
    stored: LoadBalancer, classic: Classic, listener: Listener, there: Iterable[plan.Target], *, across: bool
) -> plan.TargetGroup:
    check = classic.health_check
    backend = [policies.of(classic.policies, name) for name in classic.backends.get(listener.instance_port, ())]
    proxied = any(each is not None and ("ProxyProtocol", "true") in each.attributes for each in backend)
    targets = tuple(
        plan.Target(address=each.address, port=listener.instance_port, zone=each.zone, draining=each.draining)
        for each in there
    )
    return plan.TargetGroup(
        arn=listener.arn,
        protocol=listener.instance_protocol,
        health_check=plan.HealthCheck(
            protocol=check.protocol,
            port=int(check.port),
            path=check.path or "/",
            interval=check.interval,
            timeout=check.timeout,
            healthy=check.healthy,
            unhealthy=check.unhealthy,
        ),
        targets=targets,
        algorithm="least_outstanding_requests" if listener.protocol in policies.HTTP else "round_robin",
        stickiness=_stickiness(_policies(listener, classic)),
        cross_zone=across,
        proxy_protocol=proxied and listener.protocol not in policies.HTTP,
        end_unhealthy=not classic_attributes.draining_seconds(stored),
    )


def _policies(listener: Listener, classic: Classic) -> list[Policy]:
    found = [policies.of(classic.policies, name) for name in listener.policies]
    return [each for each in found if each is not None]


def _stickiness(found: Iterable[Policy]) -> plan.Stickiness | None:
    for each in found:
        values = dict(each.attributes)
        if each.type == policies.LB_COOKIE:
            return plan.Stickiness(type="lb_cookie", duration=int(values.get("CookieExpirationPeriod", 0)))
        if each.type == policies.APP_COOKIE:
            return plan.Stickiness(type="app_cookie", duration=0, cookie=values["CookieName"])
    return None


def _listener(stored: Listener, classic: Classic) -> plan.Listener:
    allowed = next((each for each in _policies(stored, classic) if each.type == policies.SSL), None)
    return plan.Listener(
        arn=stored.arn,
        protocol=stored.protocol,
        port=stored.port,
        default=plan.Forward(groups=(plan.Weighted(group=stored.arn),)),
        certificates=tuple(certificates.file_id(arn) for arn in stored.certificates),
        negotiation=policies.negotiation(allowed) if allowed is not None else None,
    )
