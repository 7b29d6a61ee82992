"""Whether listeners and rules may forward to target groups."""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.elb import model, published
from dryport.elb.api.common import find_target_group
from dryport.elb.model import Json, LoadBalancer
from dryport.gateway.service import Call

_MOST_GROUPS = 100  # a load balancer
_FITTING = {
    "HTTP": ("HTTP", "HTTPS"),
    "HTTPS": ("HTTP", "HTTPS"),
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}


def check(call: Call, balancer: LoadBalancer, protocol: str, actions: list[Json]) -> None:
    """Refuse target groups that a listener of this protocol cannot forward to. Raises ServiceError."""
    wrong, elsewhere, taken = [], [], []
    wanted = model.forwarded(actions)
    for arn in sorted(wanted):
        group = find_target_group(call, arn)
        if group is None:
            raise ServiceError("TargetGroupNotFound", f"Target groups '{arn}' not found")
        if group.protocol not in _FITTING[protocol]:
            wrong.append(arn)
        if group.vpc_id != balancer.vpc_id:
            elsewhere.append(arn)
        if set(published.load_balancers(call.tx, arn)) - {balancer.arn}:
            taken.append(arn)
        if group.protocol_version in ("HTTP2", "GRPC") and protocol == "HTTP":
            raise ServiceError(
                "InvalidLoadBalancerAction",
                "Listener protocol 'HTTP' is not supported with a target group with the protocol-version "
                f"'{group.protocol_version}'",
            )
    for arns, code, words in (
        (wrong, "IncompatibleProtocols", "The listener and the following target groups have incompatible protocols"),
        (
            elsewhere,
            "InvalidConfigurationRequest",
            f"The following target groups are in a different VPC than load balancer '{balancer.arn}'",
        ),
        (
            taken,
            "TargetGroupAssociationLimit",
            "The following target groups cannot be associated with more than one load balancer",
        ),
    ):
        if arns:
            raise ServiceError(code, f"{words}: {', '.join(arns)}")
    if len(published.groups(call.tx, balancer.arn) | wanted) > _MOST_GROUPS:
        raise ServiceError(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "You have reached the maximum number of unique target groups that you can associate with a load balancer "
            f"of type '{balancer.type}': [{_MOST_GROUPS}]",
        )
