"""Deployment strategies that shift traffic, as CreateService and UpdateService ask for them.

Messages that AWS documents are those of "Troubleshooting Amazon ECS blue/green deployments", developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dryport.aws import arn as arns
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json
from dryport.ecs.services import stages
from dryport.ecs.services.model import FUNCTIONS
from dryport.elb import published as elb
from dryport.gateway.service import Call

_LONGEST = 1440  # minutes
_SHIFTED = ("listener-rule/app/", "listener/net/")  # whose traffic can be shifted
_LONGEST_PAUSE = 20160
_OWN = {stages.CANARY: "canaryConfiguration", stages.LINEAR: "linearConfiguration"}
_DEFAULTS: dict[str, Json] = {
    stages.CANARY: {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10},
    stages.LINEAR: {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6},
}
_LEAST = {"canaryPercent": 0.1, "stepPercent": 3.0}
_NO_PAUSES = (stages.TEST_TRAFFIC_SHIFT, stages.PRODUCTION_TRAFFIC_SHIFT)
_KEPT = ("bakeTimeInMinutes", "lifecycleHooks")


def configuration(given: Json, before: Json, scheduling: str) -> Json:
    """The members of a deployment configuration that say how traffic is shifted, with ECS's defaults; ``before`` are
    those of a service that is there. Raises ServiceError."""
    strategy = given.get("strategy", before.get("strategy", stages.ROLLING))
    if strategy != stages.ROLLING and scheduling == "DAEMON":
        raise invalid("The daemon scheduling strategy supports the ROLLING deployment strategy only.")
    for of, member in _OWN.items():
        if of != strategy and member in given:
            raise invalid(f"{member} can only be used with the {of} deployment strategy.")
    shown: Json = {"bakeTimeInMinutes": 0}
    shown |= {member: before[member] for member in _KEPT if member in before}
    shown |= {member: given[member] for member in _KEPT if member in given}
    if strategy == stages.ROLLING:
        if given.get("bakeTimeInMinutes") or shown.get("lifecycleHooks"):
            raise invalid(
                "Dryport has bakeTimeInMinutes and lifecycleHooks with the deployment strategies BLUE_GREEN, CANARY "
                "and LINEAR only. Leave them out, or set lifecycleHooks to an empty list."
            )
        shown["bakeTimeInMinutes"] = 0
    _check_minutes("bakeTimeInMinutes", shown["bakeTimeInMinutes"])
    if strategy in _OWN:
        member = _OWN[strategy]
        shown[member] = {**_DEFAULTS[strategy], **before.get(member, {}), **given.get(member, {})}
        _check_own(shown[member])
    if "lifecycleHooks" in shown:
        shown["lifecycleHooks"] = [_hook(each) for each in shown["lifecycleHooks"]]
    return {"strategy": strategy, **shown}


def _check_own(given: Json) -> None:
    for name, value in given.items():
        if name.endswith("InMinutes"):
            _check_minutes(name, value)
        elif not _LEAST[name] <= value <= 100.0 or abs(value * 10 - round(value * 10)) > 1e-6:
            raise invalid(f"{name} must be a multiple of 0.1 between {_LEAST[name]} and 100.0.")


def _check_minutes(name: str, value: int, least: int = 0, most: int = _LONGEST) -> None:
    if not least <= value <= most:
        raise invalid(f"{name} must be between {least} and {most}.")


def _hook(given: Any) -> Json:
    kind = given.get("targetType", stages.LAMBDA)
    if not given.get("lifecycleStages"):
        raise invalid("lifecycleStages cannot be null or empty for a lifecycle hook.")
    if kind == stages.LAMBDA:
        return _function(given)
    if any(each in _NO_PAUSES for each in given["lifecycleStages"]):
        raise invalid("Invalid lifecycle stage provided for Pause Hook")
    for member in ("hookTargetArn", "roleArn", "hookDetails"):
        if given.get(member):
            raise invalid(f"{member} is not applicable to lifecycle hooks of the targetType PAUSE.")
    timeout = {"timeoutInMinutes": _LONGEST, "action": "ROLLBACK", **given.get("timeoutConfiguration", {})}
    _check_minutes("timeoutInMinutes", timeout["timeoutInMinutes"], 1, _LONGEST_PAUSE)
    return {**given, "targetType": kind, "timeoutConfiguration": timeout}


def _function(given: Any) -> Json:
    parts = arns.parse(given.get("hookTargetArn", ""))
    if parts is None or parts.service != "lambda" or not parts.resource.startswith("function:"):
        raise invalid("hookTargetArn must be the ARN of a Lambda function for lifecycle hooks of AWS_LAMBDA.")
    if not given.get("roleArn"):
        raise invalid("roleArn cannot be null or empty for lifecycle hooks of AWS_LAMBDA.")
    if not isinstance(given.get("hookDetails") or {}, dict):
        raise invalid("hookDetails must be a JSON object.")
    timeout = {"timeoutInMinutes": _LONGEST, "action": "ROLLBACK", **given.get("timeoutConfiguration", {})}
    _check_minutes("timeoutInMinutes", timeout["timeoutInMinutes"], 1)
    return {**given, "targetType": stages.LAMBDA, "timeoutConfiguration": timeout}


def check_hooks(call: Call, configuration: Json) -> None:
    """Refuse hooks that are functions where nothing invokes them. Raises ServiceError."""
    there = call.tx.get(FUNCTIONS, "lambda")
    asked = any(each["targetType"] == stages.LAMBDA for each in configuration.get("lifecycleHooks", ()))
    if asked and (there is None or not there.configured):
        raise invalid(
            "Lifecycle hooks that are Lambda functions need an endpoint that invokes them: start Dryport with "
            "`dryport up --forward lambda=URL`."
        )


# Load balancers


def check_balancers(call: Call, strategy: str, balancers: Sequence[Any]) -> None:
    """Refuse load balancers whose traffic cannot be shifted, where it is to be. Raises ServiceError.

    That their target groups are there, and fit, is not looked at.
    """
    advanced = [each["advancedConfiguration"] for each in balancers if "advancedConfiguration" in each]
    if not advanced and strategy == stages.ROLLING:
        return
    if advanced and len(advanced) < len(balancers):
        raise invalid("Either all or none of the provided loadBalancers must have advancedConfiguration defined")
    if len(advanced) < len(balancers):
        raise invalid(
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy"
        )
    if any(each.get("loadBalancerName") for each in balancers):
        raise invalid("advancedConfiguration field is not allowed with ELBv1 loadBalancers")
    for each in advanced:
        for member in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
            if not each.get(member):
                raise invalid(f"{member} cannot be null or empty in advancedConfiguration.")
    seen: set[str] = set()
    for each in balancers:
        for group in (each["targetGroupArn"], each["advancedConfiguration"]["alternateTargetGroupArn"]):
            if group in seen:
                raise invalid(f"Duplicate targetGroupArn found: {group}")
            seen.add(group)
    _check_apart(advanced)
    for each in balancers:
        _check_rules(call, each)


def _check_apart(advanced: Sequence[Json]) -> None:
    tests = {each.get("testListenerRule") for each in advanced}
    both = sorted({each["productionListenerRule"] for each in advanced} & tests)
    if both:
        raise invalid(
            f"The following rules cannot be used as both production and test listener rules: {', '.join(both)}"
        )


def _check_rules(call: Call, balancer: Json) -> None:
    advanced = balancer["advancedConfiguration"]
    for member in ("productionListenerRule", "testListenerRule"):
        if advanced.get(member):
            _check_rule(call, member, advanced[member])
    forwarded = elb.weights(call.tx, advanced["productionListenerRule"]) or {}
    pair = {balancer["targetGroupArn"], advanced["alternateTargetGroupArn"]}
    of_network = elb.protocol(call.tx, advanced["productionListenerRule"])
    if not of_network and not advanced.get("testListenerRule") and not pair <= forwarded.keys():
        raise invalid(
            "For Application LoadBalancer, testListenerRule is required when productionListenerRule is not associated "
            "with both targetGroup and alternateTargetGroup"
        )


def _check_rule(call: Call, member: str, rule: str) -> None:
    parts = arns.parse(rule)
    if parts is None or parts.service != "elasticloadbalancing" or not parts.resource.startswith(_SHIFTED):
        raise invalid(
            f"{member} has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: {rule}"
        )
    mine = (parts.account, parts.region) == (call.account, call.region)
    if not mine or elb.weights(call.tx, rule) is None:
        raise invalid(f"{member} {rule} does not exist or does not forward to target groups.")
    if elb.protocol(call.tx, rule) in ("UDP", "TCP_UDP"):
        raise invalid(f"Dryport does not shift the traffic of UDP: {member} {rule}")
