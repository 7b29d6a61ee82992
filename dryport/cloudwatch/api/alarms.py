"""Alarms on metrics and on expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.cloudwatch import alarms, shapes
from dryport.cloudwatch.api import requests
from dryport.cloudwatch.api.requests import MEMBERS
from dryport.cloudwatch.model import ALARMS, METRIC_ALARM, Alarm, alarm_arn, scope
from dryport.cloudwatch.queries import pairs
from dryport.cloudwatch.refusals import bad_token, exclusive, validation
from dryport.gateway.service import Call, Output, Service

_PAGE = 50
_MOST = 5000  # alarms of an account in a region ("CloudWatch service quotas")
_UNSUPPORTED = (
    "Metrics.AccountId",
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
)

_UNSUPPORTED_OF_COMPOSITES = (
    "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod",
    "ActionsSuppressorExtensionPeriod",
    "ActionConfiguration",
)


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("PutMetricAlarm", unsupported=_UNSUPPORTED)(put)
    service.operation("PutCompositeAlarm", unsupported=_UNSUPPORTED_OF_COMPOSITES)(put_composite)
    service.operation("DescribeAlarms")(describe)
    service.operation("DescribeAlarmsForMetric")(describe_for_metric)
    service.operation("SetAlarmState")(set_state)
    service.operation("DeleteAlarms")(delete)
    service.operation("EnableAlarmActions")(enable_actions)
    service.operation("DisableAlarmActions")(disable_actions)


def put(call: Call, request: Any) -> Output:
    """Make an alarm, or give one that is there another configuration: its state stays."""
    keep(call, request, requests.metric_alarm(request))
    return None


def put_composite(call: Call, request: Any) -> Output:
    """Make an alarm of other alarms, or give one that is there another rule: its state stays."""
    children = requests.composite_alarm(request)
    arns = {name: alarm_arn(call.account, call.region, name) for name in children}
    missing = [name for name, arn in arns.items() if call.tx.get(ALARMS, arn) is None]
    if missing:
        names = ", ".join(missing)
        raise validation(f"Could not save the composite alarm as alarms [{names}] in the alarm rule do not exist")
    keep(call, request, {"rule": request["AlarmRule"], "children": children})
    return None


def keep(call: Call, request: Any, configuration: dict[str, Any]) -> Alarm:
    """Store a new alarm, or an old one's new configuration. Raises ServiceError."""
    name = request["AlarmName"]
    arn = alarm_arn(call.account, call.region, name)
    before = call.tx.get(ALARMS, arn)
    common = requests.common(call.operation, request)
    if before is None:
        if call.tx.count(ALARMS, "scope", scope(call.account, call.region)) >= _MOST:
            raise ServiceError("LimitExceededFault", f"The maximum limit of {_MOST} alarms has been reached.")
        made = Alarm(
            arn=arn,
            name=name,
            account=call.account,
            region=call.region,
            updated_at=call.now,
            transitioned_at=call.now,
            configured_at=call.now,
            **common,
            **configuration,
        )
        made = replace(made, tags=requests.tags({}, request.get("Tags", ())))
    else:
        if bool(before.rule) != bool(configuration.get("rule")):
            raise validation(f"The alarm {name} is of another type.")
        kept = ("arn", "name", "account", "region", "state", "reason", "reason_data", "updated_at", "transitioned_at")
        made = Alarm(
            **{member: getattr(before, member) for member in kept},
            configured_at=call.now,
            tags=before.tags,
            **common,
            **configuration,
        )
    call.tx.put(ALARMS, made)
    alarms.configured(call.tx, made, "Create" if before is None else "Update", call.now)
    return made


def describe(call: Call, request: Any) -> Output:
    """The alarms that are asked for, by name."""
    if request.get("AlarmNames") and "AlarmNamePrefix" in request:
        raise exclusive("AlarmNames", "AlarmNamePrefix")
    family = {"ChildrenOfAlarmName", "ParentsOfAlarmName"} & request.keys()
    if (family and request.keys() - family - {"MaxRecords", "NextToken"}) or len(family) > 1:
        raise validation(f"{min(family)} cannot be combined with other filters.")
    found = _relatives(call, request) if family else [each for each in _all(call) if _asked_for(each, request)]
    found.sort(key=lambda each: each.name)
    shown, more = pages.page(found, request.get("NextToken"), request.get("MaxRecords", _PAGE), bad_token())
    shape = _brief(with_state="ChildrenOfAlarmName" in request) if family else shapes.alarm
    return {
        "MetricAlarms": [shape(each) for each in shown if not each.rule],
        "CompositeAlarms": [shape(each) for each in shown if each.rule],
        **more,
    }


def _relatives(call: Call, request: Any) -> list[Alarm]:
    name = request.get("ChildrenOfAlarmName")
    if name is None:
        arn = alarm_arn(call.account, call.region, request["ParentsOfAlarmName"])
        return call.tx.find(ALARMS, "child", arn)
    parent = call.tx.get(ALARMS, alarm_arn(call.account, call.region, name))
    children = (call.tx.get(ALARMS, alarm_arn(call.account, call.region, each)) for each in _children(parent))
    return [each for each in children if each is not None]


def _children(parent: Alarm | None) -> list[str]:
    return parent.children if parent is not None else []


def _brief(*, with_state: bool) -> Any:
    members = ("AlarmName", "AlarmArn", *(("StateValue", "StateUpdatedTimestamp") if with_state else ()))

    def shape(each: Alarm) -> dict[str, Any]:
        whole = shapes.alarm(each)
        return {member: whole[member] for member in members}

    return shape


def _asked_for(each: Alarm, request: Any) -> bool:
    names, prefix = request.get("AlarmNames"), request.get("ActionPrefix")
    if each.type not in (request.get("AlarmTypes") or (METRIC_ALARM,)):
        return False
    if names and each.name not in names:
        return False
    if not each.name.startswith(request.get("AlarmNamePrefix", "")):
        return False
    actions = (*each.ok_actions, *each.alarm_actions, *each.insufficient_data_actions)
    if prefix is not None and not any(action.startswith(prefix) for action in actions):
        return False
    return bool(each.state == request.get("StateValue", each.state))


def _all(call: Call) -> list[Alarm]:
    return call.tx.find(ALARMS, "scope", scope(call.account, call.region))


def describe_for_metric(call: Call, request: Any) -> Output:
    """The alarms on a metric alone, not on expressions."""
    dimensions = sorted(pairs(request.get("Dimensions", ())))

    def watches(each: Alarm) -> bool:
        return (
            each.namespace == request["Namespace"]
            and each.metric_name == request["MetricName"]
            and sorted(each.dimensions) == dimensions
            and all(getattr(each, member) == request[name] for name, member in MEMBERS.items() if name in request)
        )

    return {"MetricAlarms": [shapes.alarm(each) for each in _all(call) if watches(each)]}


def set_state(call: Call, request: Any) -> Output:
    """Put an alarm in a state, until it is evaluated again."""
    found = call.tx.get(ALARMS, alarm_arn(call.account, call.region, request["AlarmName"]))
    if found is None:
        raise ServiceError("ResourceNotFound", "")
    data = request.get("StateReasonData", "")
    requests.check_json(data)
    alarms.change(call.tx, found, request["StateValue"], request["StateReason"], data, call.now)
    return None


def delete(call: Call, request: Any) -> Output:
    """Delete alarms; names of none are passed over."""
    found = _named(call, request["AlarmNames"])
    if sum(bool(each.rule) for each in found) > 1:
        raise validation("Only one composite alarm can be deleted at a time.")
    gone = {each.arn for each in found}
    for each in found:
        parents = [parent.name for parent in call.tx.find(ALARMS, "child", each.arn) if parent.arn not in gone]
        if parents:
            message = f"Cannot delete {each.name} as there are composite alarm(s) depending on it: {', '.join(parents)}"
            raise ServiceError("ResourceConflict", message)
    for each in found:
        call.tx.delete(ALARMS, each.arn)
        alarms.configured(call.tx, each, "Delete", call.now)
    return None


def enable_actions(call: Call, request: Any) -> Output:
    """Have alarms act."""
    _set_actions(call, request, enabled=True)
    return None


def disable_actions(call: Call, request: Any) -> Output:
    """Have alarms not act."""
    _set_actions(call, request, enabled=False)
    return None


def _set_actions(call: Call, request: Any, *, enabled: bool) -> None:
    for each in _named(call, request["AlarmNames"]):
        if each.actions_enabled != enabled:
            changed = replace(each, actions_enabled=enabled)
            call.tx.put(ALARMS, changed)
            alarms.configured(call.tx, changed, "Update", call.now)


def _named(call: Call, names: Iterable[str]) -> list[Alarm]:
    found = (call.tx.get(ALARMS, alarm_arn(call.account, call.region, name)) for name in dict.fromkeys(names))
    return [each for each in found if each is not None]
