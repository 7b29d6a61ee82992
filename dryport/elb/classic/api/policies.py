"""Policies of classic load balancers and their types."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.elb import model
from dryport.elb.classic import policies
from dryport.elb.classic.api.common import balancer, put
from dryport.elb.classic.api.listeners import named
from dryport.elb.model import Policy
from dryport.gateway.service import Call, Output, Service

_MOST = 100  # a load balancer


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateLoadBalancerPolicy")(create)
    service.operation("CreateAppCookieStickinessPolicy")(create_app_cookie)
    service.operation("CreateLBCookieStickinessPolicy")(create_lb_cookie)
    service.operation("DeleteLoadBalancerPolicy")(delete)
    service.operation("DescribeLoadBalancerPolicies")(describe)
    service.operation("DescribeLoadBalancerPolicyTypes")(describe_types)
    service.operation("SetLoadBalancerPoliciesForBackendServer")(set_for_backend)


def create(call: Call, request: Any) -> Output:
    """Make a policy, which does nothing until a listener or a port of instances has it."""
    given = request.get("PolicyAttributes") or ()
    return _create(call, request, policies.checked(request["PolicyName"], request["PolicyTypeName"], given))


def create_app_cookie(call: Call, request: Any) -> Output:
    """Make a policy of stickiness for as long as the application's cookie is there."""
    given = [{"AttributeName": "CookieName", "AttributeValue": request["CookieName"]}]
    return _create(call, request, policies.checked(request["PolicyName"], policies.APP_COOKIE, given))


def create_lb_cookie(call: Call, request: Any) -> Output:
    """Make a policy of stickiness for some time, or for as long as the browser runs."""
    period = request.get("CookieExpirationPeriod")
    given = [{"AttributeName": "CookieExpirationPeriod", "AttributeValue": str(period)}] if period is not None else []
    return _create(call, request, policies.checked(request["PolicyName"], policies.LB_COOKIE, given))


def _create(call: Call, request: Any, policy: Policy) -> Output:
    found, classic = balancer(call, request["LoadBalancerName"])
    if policies.of(classic.policies, policy.name) is not None:
        raise ServiceError(
            "DuplicatePolicyName",
            f"A policy with the name '{policy.name}' already exists for load balancer '{found.name}'",
        )
    if len(classic.policies) >= _MOST:
        raise ServiceError("TooManyPolicies", f"The load balancer '{found.name}' cannot have more policies")
    put(call, found, policies=[*classic.policies, policy])
    return {}


def delete(call: Call, request: Any) -> Output:
    """Delete a policy that nothing has enabled. One that is not there is deleted."""
    found, classic = balancer(call, request["LoadBalancerName"])
    name = request["PolicyName"]
    users = [each.policies for each in call.tx.find(model.LISTENERS, "load_balancer", found.arn)]
    if any(name in each for each in (*users, *classic.backends.values())):
        raise policies.refused(f"Policy '{name}' is in use and cannot be deleted")
    put(call, found, policies=[each for each in classic.policies if each.name != name])
    return {}


def set_for_backend(call: Call, request: Any) -> Output:
    """Have these policies, and no others, at a port of the instances."""
    found, classic = balancer(call, request["LoadBalancerName"])
    port = request["InstancePort"]
    listeners = call.tx.find(model.LISTENERS, "load_balancer", found.arn)
    if all(each.instance_port != port for each in listeners):
        raise policies.refused(f"The load balancer '{found.name}' has no listener with the InstancePort {port}")
    wanted = [named(found, classic.policies, name) for name in dict.fromkeys(request["PolicyNames"])]
    policies.check_backend(wanted)
    backends = {other: enabled for other, enabled in classic.backends.items() if other != port}
    if wanted:
        backends[port] = [each.name for each in wanted]
    put(call, found, backends=backends)
    return {}


def describe(call: Call, request: Any) -> Output:
    """The policies of a load balancer; without one those that all have."""
    asked, name = request.get("PolicyNames") or [], request.get("LoadBalancerName")
    present = balancer(call, name)[1].policies if name else policies.samples()
    missing = [each for each in asked if all(each != policy.name for policy in present)]
    if missing:
        where = f"for load balancer {name}" if name else "among the sample policies"
        raise ServiceError("PolicyNotFound", f"There is no policy with name {missing[0]} {where}")
    shown = [each for each in present if not asked or each.name in asked]
    return {"PolicyDescriptions": [_described(each) for each in shown]}


def _described(policy: Policy) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyTypeName": policy.type,
        "PolicyAttributeDescriptions": [
            {"AttributeName": name, "AttributeValue": value} for name, value in policy.attributes
        ],
    }


def describe_types(call: Call, request: Any) -> Output:
    """The types that are named, or all."""
    asked = request.get("PolicyTypeNames") or list(policies.TYPES)
    missing = [each for each in asked if each not in policies.TYPES]
    if missing:
        raise ServiceError("PolicyTypeNotFound", f"There is no policy type named '{missing[0]}'")
    return {"PolicyTypeDescriptions": [_type(each, policies.TYPES[each]) for each in asked]}


def _type(name: str, kind: policies.Type) -> dict[str, Any]:
    return {
        "PolicyTypeName": name,
        "Description": kind.description,
        "PolicyAttributeTypeDescriptions": [
            {"AttributeName": each.name, "AttributeType": each.type, "Cardinality": each.cardinality}
            for each in kind.attributes
        ],
    }
