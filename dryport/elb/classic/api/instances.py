"""The instances of classic load balancers and their health."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.elb import model, published
from dryport.elb.classic import health, plans
from dryport.elb.classic.api.common import balancer
from dryport.elb.model import LoadBalancer, Target
from dryport.gateway.service import Call, Output, Service

_MOST = 1000  # a load balancer


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("RegisterInstancesWithLoadBalancer")(add)
    service.operation("DeregisterInstancesFromLoadBalancer")(remove)
    service.operation("DescribeInstanceHealth")(describe)


def _named(call: Call, found: LoadBalancer, request: Any) -> list[str]:
    """The instances that a request names, which all are in the balancer's VPC. Raises ServiceError."""
    ids = [each.get("InstanceId", "") for each in request["Instances"]]
    for each in ids:
        instance = ec2.instance(call.tx, call.account, call.region, each)
        if instance is None:
            raise ServiceError("InvalidInstance", f"Could not find EC2 instance {each}.")
        if instance.vpc_id != found.vpc_id:
            raise ServiceError("InvalidInstance", f"EC2 instance {each} is not in the same VPC as ELB.")
    return list(dict.fromkeys(ids))


def _left(call: Call, found: LoadBalancer) -> Output:
    return {"Instances": [{"InstanceId": each} for each in registered(call, found)]}


def registered(call: Call, found: LoadBalancer) -> Iterable[str]:
    """The instances that are not being deregistered."""
    return (each.id for each in call.tx.find(model.TARGETS, "group", found.arn) if each.state != model.DRAINING)


def add(call: Call, request: Any) -> Output:
    """Register instances: all of them, or none."""
    found, _ = balancer(call, request["LoadBalancerName"])
    for each in _named(call, found, request):
        published.register(call.tx, found.arn, each, 0)
    if call.tx.count(model.TARGETS, "group", found.arn) > _MOST:
        raise ServiceError("InvalidInstance", f"A load balancer cannot have more than {_MOST} instances")
    return _left(call, found)


def remove(call: Call, request: Any) -> Output:
    """Deregister instances. Those that are not registered are deregistered."""
    found, _ = balancer(call, request["LoadBalancerName"])
    for each in _named(call, found, request):
        published.deregister(call.tx, call.now, found.arn, each, 0)
    return _left(call, found)


def describe(call: Call, request: Any) -> Output:
    """The states of the instances that are named, or of all."""
    found, _ = balancer(call, request["LoadBalancerName"])
    there = {each.id: each for each in call.tx.find(model.TARGETS, "group", found.arn)}
    asked = _named(call, found, request) if request.get("Instances") else list(there)
    return {"InstanceStates": [_described(each, _state(call, found, each, there.get(each))) for each in asked]}


def _state(call: Call, found: LoadBalancer, instance_id: str, target: Target | None) -> health.State:
    if target is None:
        return health.NOT_REGISTERED
    instance = ec2.instance(call.tx, call.account, call.region, instance_id)
    zone, state = (instance.availability_zone, instance.state) if instance is not None else ("", "terminated")
    return health.state(target, in_zone=plans.in_zone(found, zone), instance_state=state)


def _described(instance_id: str, state: health.State) -> dict[str, str]:
    return {
        "InstanceId": instance_id,
        "State": state.state,
        "ReasonCode": state.reason,
        "Description": state.description,
    }
