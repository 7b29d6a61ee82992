"""What other services may ask of load balancing: plain functions inside their own transactions.

Watch TARGETS for what becomes of a target's health, LISTENERS and RULES for what becomes of target groups.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.arn import Arn
from dryport.elb import model, names, targets
from dryport.elb.classic import health
from dryport.elb.classic.attributes import draining_seconds
from dryport.elb.model import LoadBalancer, Target, TargetGroup
from dryport.store import Reader, Table, Transaction


def target_group(reader: Reader, account: str, region: str, group_arn: str) -> TargetGroup | None:
    """A target group of this account and region."""
    found = reader.get(model.TARGET_GROUPS, group_arn)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def find(reader: Reader, group_arn: str) -> TargetGroup | None:
    """A target group, whosever it is."""
    return reader.get(model.TARGET_GROUPS, group_arn)


def load_balancers(reader: Reader, group_arn: str) -> list[str]:
    """The ARNs of the load balancers whose listeners or rules forward to a target group; of a classic one its own."""
    if _classic(reader, group_arn) is not None:
        return [group_arn]
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
    """The ARNs of the load balancers' rows whose listeners show a certificate (``shown_arn`` is what users see)."""
    return sorted({each.load_balancer for each in reader.find(model.LISTENERS, "certificate", certificate_arn)})


def shown_arn(reader: Reader, load_balancer_arn: str) -> str:
    """The ARN by which users know a load balancer."""
    found = reader.get(model.LOAD_BALANCERS, load_balancer_arn)
    if found is None or found.classic is None:
        return load_balancer_arn
    return names.classic_arn(found.region, found.account, found.name)


def _classic(reader: Reader, arn: str) -> LoadBalancer | None:
    found = reader.get(model.LOAD_BALANCERS, arn)
    return found if found is not None and found.state != model.DELETING else None


def exists(reader: Reader, group_arn: str) -> bool:
    """Whether a target group, or a classic load balancer, is there."""
    return find(reader, group_arn) is not None or _classic(reader, group_arn) is not None


def classic(reader: Reader, account: str, region: str, name: str) -> LoadBalancer | None:
    """A classic load balancer by its name. Its ``arn`` is what ``register`` and the others take for a target group's,
    with the port 0: what has a port are its listeners."""
    return next(iter(reader.find(model.LOAD_BALANCERS, "classic_name", model.scope(account, region, name))), None)


def load_balancer(reader: Reader, arn: str) -> LoadBalancer | None:
    """A classic load balancer by its row's ARN."""
    found = _classic(reader, arn)
    return found if found is not None and found.classic is not None else None


def description(reader: Reader, target: Target) -> str:
    """What is wrong with a target that is not healthy, in the words of its group's API."""
    if load_balancer(reader, target.group) is None:
        return target.description
    return health.state(target, in_zone=True, instance_state="running").description


def classic_name(reader: Reader, arn: str) -> str:
    """The name of a classic load balancer, "" where it is a target group."""
    found = reader.get(model.LOAD_BALANCERS, arn)
    return found.name if found is not None else ""


def instance_ports(reader: Reader, classic_arn: str) -> set[int]:
    """The instances' ports that a classic load balancer's listeners lead to."""
    return {each.instance_port for each in reader.find(model.LISTENERS, "load_balancer", classic_arn)}


def register(tx: Transaction, group_arn: str, target_id: str, port: int, zone: str = "") -> None:
    """Have a target (an instance's id, or an address) get traffic at a port, if its group is there. One that is
    draining is taken back."""
    if not exists(tx, group_arn):
        return
    found = tx.get(model.TARGETS, model.target_key(group_arn, target_id, port))
    if found is None or found.state == model.DRAINING:
        tx.put(model.TARGETS, Target(group=group_arn, id=target_id, port=port, zone=zone))


def deregister(tx: Transaction, now: float, group_arn: str, target_id: str, port: int) -> None:
    """Have a target get no new requests; it drains for its group's deregistration delay, then it is gone
    (``target`` gives ``None``). At once where no load balancer uses it, or a classic one drains nothing."""
    found = tx.get(model.TARGETS, model.target_key(group_arn, target_id, port))
    if found is None or found.state == model.DRAINING:
        return
    delay = _delay(tx, group_arn)
    if delay is None or not load_balancers(tx, group_arn):
        tx.delete(model.TARGETS, found.key)
        return
    tx.put(model.TARGETS, targets.draining(found, now + delay))


def _delay(reader: Reader, group_arn: str) -> int | None:
    """For how many seconds what is deregistered drains; ``None`` where nothing does."""
    balancer, group = _classic(reader, group_arn), find(reader, group_arn)
    if balancer is not None:
        return draining_seconds(balancer) or None
    return targets.deregistration_delay(group) if group is not None else None


def target(reader: Reader, group_arn: str, target_id: str, port: int) -> Target | None:
    """A target with its health; ``None`` once it is registered no more."""
    return reader.get(model.TARGETS, model.target_key(group_arn, target_id, port))


def weights(reader: Reader, rule_or_listener_arn: str) -> dict[str, int] | None:
    """The weights of the target groups that a rule (or a listener) forwards to, by their ARNs; ``None`` where there is
    no such rule, or it does something else."""
    rule = reader.get(model.RULES, rule_or_listener_arn)
    listener = names.listener_of_default_rule(rule_or_listener_arn) or rule_or_listener_arn
    found = rule or reader.get(model.LISTENERS, listener)
    if found is None or not model.forwarded(found.actions):
        return None
    listed = found.actions[0].get("ForwardConfig", {}).get("TargetGroups")
    if not listed:
        return {found.actions[0]["TargetGroupArn"]: 1}
    return {each["TargetGroupArn"]: each.get("Weight", 1) for each in listed}


def protocol(reader: Reader, listener_arn: str) -> str:
    """The protocol of a listener, "" where there is no such one."""
    found = reader.get(model.LISTENERS, listener_arn)
    return found.protocol if found is not None else ""


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
    kind, _, rest = parts.resource.partition("/")
    if kind == "loadbalancer" and "/" not in rest:
        balancer = classic(reader, parts.account, parts.region, rest)
        return balancer.tags if balancer is not None else {}
    table = tables.get(kind)
    found = reader.get(table, str(parts)) if table is not None else None
    return found.tags if found is not None else {}
