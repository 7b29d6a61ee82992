"""What other services may ask of load balancing: plain functions inside their own transactions.

Watch TARGETS for what becomes of a target's health, LISTENERS and RULES for what becomes of target groups.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.arn import Arn
from dryport.elb import model, names, targets
from dryport.elb.model import Target, TargetGroup
from dryport.store import Reader, Table, Transaction


def target_group(reader: Reader, account: str, region: str, group_arn: str) -> TargetGroup | None:
    """A target group of this account and region."""
    found = reader.get(model.TARGET_GROUPS, group_arn)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def find(reader: Reader, group_arn: str) -> TargetGroup | None:
    """A target group, whosever it is."""
    return reader.get(model.TARGET_GROUPS, group_arn)


def load_balancers(reader: Reader, group_arn: str) -> list[str]:
    """The ARNs of the load balancers whose listeners or rules forward to a target group."""
    listeners = reader.find(model.LISTENERS, "group", group_arn)
    for rule in reader.find(model.RULES, "group", group_arn):
        found = reader.get(model.LISTENERS, rule.listener)
        listeners += [found] if found is not None else []
    return sorted({each.load_balancer for each in listeners})


def groups(reader: Reader, load_balancer_arn: str) -> set[str]:
    """The ARNs of the target groups that a load balancer's listeners and rules forward to."""
    found: set[str] = set()
    for listener in reader.find(model.LISTENERS, "load_balancer", load_balancer_arn):
        found |= model.forwarded(listener.actions)
        for rule in reader.find(model.RULES, "listener", listener.arn):
            found |= model.forwarded(rule.actions)
    return found


def users_of_certificate(reader: Reader, certificate_arn: str) -> list[str]:
    """The ARNs of the load balancers whose listeners show a certificate."""
    return sorted({each.load_balancer for each in reader.find(model.LISTENERS, "certificate", certificate_arn)})


def register(tx: Transaction, group_arn: str, target_id: str, port: int, zone: str = "") -> None:
    """Have a target (an instance's id, or an address) get traffic at a port, if its group is there. One that is
    draining is taken back."""
    if tx.get(model.TARGET_GROUPS, group_arn) is None:
        return
    found = tx.get(model.TARGETS, model.target_key(group_arn, target_id, port))
    if found is None or found.state == model.DRAINING:
        tx.put(model.TARGETS, Target(group=group_arn, id=target_id, port=port, zone=zone))


def deregister(tx: Transaction, now: float, group_arn: str, target_id: str, port: int) -> None:
    """Have a target get no new requests; it drains for its group's deregistration delay, then it is gone
    (``target`` gives ``None``). At once where no load balancer uses it."""
    found = tx.get(model.TARGETS, model.target_key(group_arn, target_id, port))
    group = tx.get(model.TARGET_GROUPS, group_arn)
    if found is None or found.state == model.DRAINING:
        return
    if group is None or not load_balancers(tx, group_arn):
        tx.delete(model.TARGETS, found.key)
        return
    tx.put(model.TARGETS, targets.draining(found, now + targets.deregistration_delay(group)))


def target(reader: Reader, group_arn: str, target_id: str, port: int) -> Target | None:
    """A target with its health; ``None`` once it is registered no more."""
    return reader.get(model.TARGETS, model.target_key(group_arn, target_id, port))


def shift(tx: Transaction, rule_or_listener_arn: str, weights: dict[str, int]) -> None:
    """Have a rule (a listener's default one too, or a listener by its own ARN) forward to target groups by weight: what
    blue/green deployments do.

    Raises LookupError where there is no such rule or listener."""
    action = {
        "Type": "forward",
        "Order": 1,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    if len(weights) == 1:
        action["TargetGroupArn"] = next(iter(weights))
    rule = tx.get(model.RULES, rule_or_listener_arn)
    if rule is not None:
        tx.put(model.RULES, replace(rule, actions=[action]))
        return
    listener = tx.get(model.LISTENERS, names.listener_of_default_rule(rule_or_listener_arn) or rule_or_listener_arn)
    if listener is None:
        raise LookupError(rule_or_listener_arn)
    tx.put(model.LISTENERS, replace(listener, actions=[action]))


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    tables: dict[str, Table[Any]] = {
        "loadbalancer": model.LOAD_BALANCERS,
        "targetgroup": model.TARGET_GROUPS,
        "listener": model.LISTENERS,
        "listener-rule": model.RULES,
    }
    table = tables.get(parts.resource.partition("/")[0])
    found = reader.get(table, str(parts)) if table is not None else None
    return found.tags if found is not None else {}
