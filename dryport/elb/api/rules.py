"""Rules of listeners."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.elb import actions, conditions, model, names
from dryport.elb.actions import Where
from dryport.elb.api import carrying, forwarding
from dryport.elb.api.common import default_rule_of, find_rule, listener, load_balancer, page, with_tags
from dryport.elb.api.listeners import ACTIONS_REFUSED
from dryport.elb.model import APPLICATION, Json, Listener, LoadBalancer, Rule
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service

_MOST = 100  # a load balancer, without the default ones
_REFUSED = (
    *ACTIONS_REFUSED,
    "Transforms",
    "Conditions.RegexValues",
    "Conditions.SourceIpConfig.IpAddressType",
    *(f"Conditions.{name}.RegexValues" for name in ("HostHeaderConfig", "PathPatternConfig", "HttpHeaderConfig")),
)


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateRule", unsupported=_REFUSED)(create)
    service.operation("DescribeRules")(describe_all)
    service.operation("ModifyRule", unsupported=(*_REFUSED, "ResetTransforms"))(modify)
    service.operation("DeleteRule")(delete)
    service.operation("SetRulePriorities")(set_priorities)


def describe(rule: Rule) -> dict[str, Any]:
    """A rule as DescribeRules has it."""
    return {
        "RuleArn": rule.arn,
        "Priority": str(rule.priority),
        "Conditions": rule.conditions,
        "Actions": rule.actions,
        "IsDefault": False,
    }


def describe_default(of: Listener) -> dict[str, Any]:
    """A listener's default rule as DescribeRules has it."""
    return {
        "RuleArn": names.default_rule_arn(of.arn),
        "Priority": "default",
        "Conditions": [],
        "Actions": of.actions,
        "IsDefault": True,
    }


def _not_found() -> ServiceError:
    return ServiceError("RuleNotFound", "One or more rules not found")


def _rule(call: Call, text: str, done: str) -> Rule:
    """A rule that may be changed. Raises ServiceError."""
    found = find_rule(call, text)
    if found is not None:
        return found
    if default_rule_of(call, text) is not None:
        raise ServiceError("OperationNotPermitted", f"Default rule '{text}' cannot be {done}")
    raise _not_found()


def _place(call: Call, of: Listener) -> tuple[LoadBalancer, Where]:
    balancer = load_balancer(call, of.load_balancer)
    return balancer, Where(balancer.type, of.protocol, of.port)


def _acts(call: Call, of: Listener, given: list[Json]) -> list[Json]:
    balancer, where = _place(call, of)
    made = actions.checked(given, where)
    forwarding.check(call, balancer, of.protocol, made)
    return made


def create(call: Call, request: Any) -> Output:
    """One more rule of a listener."""
    of = listener(call, request["ListenerArn"])
    balancer, _ = _place(call, of)
    if balancer.type != APPLICATION:
        raise ServiceError(
            "UnsupportedProtocol", f"Rules are not supported for listeners with the {of.protocol} protocol"
        )
    made = Rule(
        arn=names.rule_arn(of.arn, names.new_id(call.random)),
        listener=of.arn,
        priority=request["Priority"],
        conditions=conditions.checked(request["Conditions"]),
        actions=_acts(call, of, request["Actions"]),
        tags=with_tags({}, request.get("Tags", ())),
    )
    others = call.tx.find(model.RULES, "listener", of.arn)
    if any(each.priority == made.priority for each in others):
        raise _in_use(made.priority)
    listeners = call.tx.keys(model.LISTENERS, "load_balancer", balancer.arn)
    if sum(call.tx.count(model.RULES, "listener", each) for each in listeners) >= _MOST:
        raise ServiceError(
            "TooManyRules", f"The maximum number of rules has been reached on load balancer '{balancer.arn}'"
        )
    call.tx.put(model.RULES, made)
    carrying.check(call, of.load_balancer)
    return {"Rules": [describe(made)]}


def _in_use(priority: int) -> ServiceError:
    return ServiceError("PriorityInUse", f"Priority '{priority}' is currently in use")


def describe_all(call: Call, request: Any) -> Output:
    """The rules of a listener in their order, the default one last; or those that are named."""
    arns, of = request.get("RuleArns") or [], request.get("ListenerArn")
    if not arns and not of:
        raise invalid("You must specify either listener rule ARNs or a listener ARN")
    if arns and of:
        raise invalid("Listener rule ARNs and a listener ARN cannot be specified at the same time")
    if arns:
        found = [_described(call, each) for each in dict.fromkeys(arns)]
    else:
        owner = listener(call, of)
        rules = sorted(call.tx.find(model.RULES, "listener", owner.arn), key=lambda each: each.priority)
        found = [*map(describe, rules), describe_default(owner)]
    shown, more = page(found, request)
    return {"Rules": list(shown), **more}


def _described(call: Call, text: str) -> dict[str, Any]:
    found = find_rule(call, text)
    if found is not None:
        return describe(found)
    of = default_rule_of(call, text)
    if of is None:
        raise _not_found()
    return describe_default(of)


def modify(call: Call, request: Any) -> Output:
    """Change conditions or actions; what is left out stays."""
    found = _rule(call, request["RuleArn"], "modified")
    if not request.get("Conditions") and not request.get("Actions"):
        raise invalid("Either conditions or actions must be specified")
    if request.get("Conditions"):
        found = replace(found, conditions=conditions.checked(request["Conditions"]))
    of = listener(call, found.listener)
    if request.get("Actions"):
        found = replace(found, actions=_acts(call, of, request["Actions"]))
    call.tx.put(model.RULES, found)
    carrying.check(call, of.load_balancer)
    return {"Rules": [describe(found)]}


def delete(call: Call, request: Any) -> Output:
    """Delete a rule."""
    call.tx.delete(model.RULES, _rule(call, request["RuleArn"], "deleted").arn)
    return {}


def set_priorities(call: Call, request: Any) -> Output:
    """Give rules of one listener other priorities, all at once."""
    asked = request["RulePriorities"]
    if not asked or any("RuleArn" not in each or "Priority" not in each for each in asked):
        raise invalid("A rule ARN and a priority must be specified")
    for member, word in (("Priority", "Priority"), ("RuleArn", "Rule ARN")):
        for value, times in Counter(each[member] for each in asked).items():
            if times > 1:
                raise invalid(f"{word} '{value}' was provided multiple times")
    found = [replace(_rule(call, each["RuleArn"], "modified"), priority=each["Priority"]) for each in asked]
    if len({each.listener for each in found}) > 1:
        raise invalid("All rules must belong to the same listener")
    changed = {each.arn for each in found}
    others = call.tx.find(model.RULES, "listener", found[0].listener)
    kept = {each.priority for each in others if each.arn not in changed}
    for each in found:
        if each.priority in kept:
            raise _in_use(each.priority)
    for each in found:
        call.tx.put(model.RULES, each)
    return {"Rules": [describe(each) for each in found]}
