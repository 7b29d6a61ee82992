"""What is the same for everybody: limits and security policies."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.elb.api.common import load_balancer, page
from dryport.elb.ssl_policies import POLICIES
from dryport.gateway.service import Call, Output, Service

# "Quotas for your Application Load Balancers" and "… Network Load Balancers", as DescribeAccountLimits names them.
LIMITS = {
    "target-groups": 3000,
    "targets-per-application-load-balancer": 1000,
    "listeners-per-application-load-balancer": 50,
    "rules-per-application-load-balancer": 100,
    "network-load-balancers": 50,
    "targets-per-network-load-balancer": 3000,
    "targets-per-availability-zone-per-network-load-balancer": 500,
    "listeners-per-network-load-balancer": 50,
    "condition-values-per-alb-rule": 5,
    "condition-wildcards-per-alb-rule": 6,
    "target-groups-per-application-load-balancer": 100,
    "target-groups-per-action-on-application-load-balancer": 5,
    "target-groups-per-action-on-network-load-balancer": 1,
    "certificates-per-application-load-balancer": 25,
    "certificates-per-network-load-balancer": 25,
    "targets-per-target-group": 1000,
    "target-id-registrations-per-application-load-balancer": 1000,
    "application-load-balancers": 50,
}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeAccountLimits")(limits)
    service.operation("DescribeSSLPolicies")(policies)
    service.operation("DescribeCapacityReservation")(capacity)


def limits(call: Call, request: Any) -> Output:
    """The limits of an account in a region."""
    shown, more = page(list(LIMITS.items()), request)
    return {"Limits": [{"Name": name, "Max": str(most)} for name, most in shown], **more}


def capacity(call: Call, request: Any) -> Output:
    """What is reserved for a load balancer: nothing, since nothing can be."""
    load_balancer(call, request["LoadBalancerArn"])
    return {"CapacityReservationState": []}


def policies(call: Call, request: Any) -> Output:
    """The security policies that are named, or all."""
    asked = request.get("Names") or list(POLICIES)
    missing = [each for each in asked if each not in POLICIES]
    if missing:
        raise ServiceError("SSLPolicyNotFound", f"SSL policies '[{', '.join(missing)}]' not found")
    kind = request.get("LoadBalancerType", "")
    shown, more = page([each for each in asked if not kind or kind in POLICIES[each].kinds], request)
    return {"SslPolicies": [_described(each) for each in shown], **more}


def _described(name: str) -> dict[str, Any]:
    policy = POLICIES[name]
    return {
        "Name": name,
        "SslProtocols": list(policy.protocols),
        "Ciphers": [{"Name": cipher, "Priority": place} for place, cipher in enumerate(policy.ciphers, 1)],
        "SupportedLoadBalancerTypes": list(policy.kinds),
    }
