"""Load balancers of services: whose targets the tasks of a service are, as what, and what the targets' health says.

Sources: "Use load balancing to distribute Amazon ECS service traffic", developer guide; LoadBalancer, API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dryport.ec2.model import INSTANCES
from dryport.ecs.acs.sources import detail, interface_attachment
from dryport.ecs.lookup import invalid
from dryport.ecs.model import CONTAINER_INSTANCES, Json, Task, TaskDefinition, TaskTarget
from dryport.ecs.services.events import Place
from dryport.elb import published as elb
from dryport.elb.model import DRAINING, TargetGroup
from dryport.gateway.service import Call
from dryport.iam import published as iam
from dryport.store import Reader

_MOST = 5
NOT_REGISTERED = "Target is not registered to the target group"  # ELB's words for Target.NotRegistered
_UNVALIDATED = (
    "Unable to assume role and validate the {what}. Please verify that the ECS service role being passed has the "
    "proper permissions."
)
_GROUP, _LISTENERS = "specified targetGroupArn", "listeners configured on your load balancer"


def check(
    call: Call, given: Sequence[Any], definition: TaskDefinition, launch_type: str, role_arn: str = ""
) -> list[Json]:
    """The load balancers of a service, which its tasks can be registered with: by a role, where that is not the
    service-linked one. Raises ServiceError."""
    if len(given) > _MOST:
        raise invalid(f"load balancers can have at most {_MOST} items.")
    if given and launch_type == "EXTERNAL":
        raise invalid("Load balancers are not supported with the EXTERNAL launch type.")
    if len(given) > 1 and any(each.get("loadBalancerName") for each in given):
        raise invalid("Multiple load balancers are supported for target groups only.")
    for each in given:
        if role_arn and not iam.may(call.tx, role_arn, "ecs.amazonaws.com", _asked(each)):
            raise invalid(_UNVALIDATED.format(what=_LISTENERS if each.get("loadBalancerName") else _GROUP))
        _check(call, each, definition.body)
        alternate = each.get("advancedConfiguration", {}).get("alternateTargetGroupArn")
        if alternate:
            _check(call, {**each, "targetGroupArn": alternate}, definition.body)
    check_ports(given, definition.body)
    return [dict(each) for each in given]


def role(call: Call, request: Any, definition: TaskDefinition) -> str:
    """The ARN of the role that CreateService names for registering with load balancers, "" where it names none.
    Raises ServiceError where there is nothing to do for one."""
    given: str = request.get("role", "")
    if not given:
        return ""
    balancers = request.get("loadBalancers", ())
    if not balancers:
        raise invalid("A role was passed, but no load balancers were present.")
    awsvpc = definition.body.get("networkMode") == "awsvpc"
    if awsvpc or len(balancers) > 1 or request.get("serviceRegistries"):
        raise invalid("You cannot specify an IAM role for services that require a service linked role.")
    return given if given.startswith("arn:") else f"arn:aws:iam::{call.account}:role/{given.removeprefix('/')}"


def _asked(given: Any) -> str:
    """What ECS asks ELB to look a load balancer up."""
    kind = "LoadBalancers" if given.get("loadBalancerName") else "TargetGroups"
    return f"elasticloadbalancing:Describe{kind}"


def _check(call: Call, given: Any, body: Json) -> None:
    arn, name = given.get("targetGroupArn"), given.get("loadBalancerName")
    if arn and name:
        raise invalid("Only one of loadBalancerName and targetGroupArn can be specified for a load balancer.")
    if not arn and not name:
        raise invalid("Either loadBalancerName or targetGroupArn must be specified for a load balancer.")
    if not given.get("containerName"):
        raise invalid("Container name cannot be null or empty for a load balancer.")
    if given.get("containerPort") is None:
        raise invalid("Container port cannot be null for a load balancer.")
    if name:
        _check_classic(call, given, body)
        return
    group = elb.target_group(call.tx, call.account, call.region, arn)
    if group is None:
        raise invalid(_UNVALIDATED.format(what=_GROUP))  # what ECS says of a group that its role cannot describe
    mode = body.get("networkMode", "bridge")
    if mode == "none":
        raise invalid("Load balancers are not supported for tasks with the network mode none.")
    if group.target_type != ("ip" if mode == "awsvpc" else "instance"):
        raise invalid(
            f"The provided target group {arn} has target type {group.target_type}, which is incompatible with the "
            f"{mode} network mode specified in the task definition."
        )
    if not elb.load_balancers(call.tx, arn):
        raise invalid(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


def _check_classic(call: Call, given: Any, body: Json) -> None:
    if body.get("networkMode", "bridge") in ("awsvpc", "none"):
        mode = body["networkMode"]
        raise invalid(f"Classic load balancers are not supported for tasks with the network mode {mode}.")
    found = elb.classic(call.tx, call.account, call.region, given["loadBalancerName"])
    if found is None:
        raise invalid(_UNVALIDATED.format(what=_LISTENERS))  # what ECS says of a balancer that it cannot describe
    check_ports([given], body)
    port = _static_port(body, given["containerName"], given["containerPort"])
    if port not in elb.instance_ports(call.tx, found.arn):
        raise invalid(f"The load balancer {found.name} does not have a listener configured for the host port {port}.")


def _static_port(body: Json, name: str, port: int) -> int:
    """The host port of a container's port, which a task definition fixes; 0 where it does not."""
    if body.get("networkMode", "bridge") != "bridge":
        return port
    container = next(each for each in body["containerDefinitions"] if each["name"] == name)
    mapped = (each for each in container.get("portMappings", ()) if each.get("containerPort") == port)
    return next((int(each["hostPort"]) for each in mapped if each.get("hostPort")), 0)


def check_ports(given: Iterable[Any], body: Json) -> None:
    """Refuse containers and ports that a task definition does not have. Raises ServiceError."""
    for each in given:
        name, port = each["containerName"], each["containerPort"]
        check_port(body, name, port)
        if each.get("loadBalancerName") and not _static_port(body, name, port):
            raise invalid(f"A host port mapping for the container port {port} is required.")


def check_port(body: Json, name: str, port: int) -> None:
    """Refuse a container port that a task definition does not have. Raises ServiceError."""
    container = next((each for each in body["containerDefinitions"] if each["name"] == name), None)
    if container is None:
        raise invalid(f"The container {name} does not exist in the task definition.")
    if all(each.get("containerPort") != port for each in container.get("portMappings", ())):
        raise invalid(f"The container {name} did not have a container port {port} defined.")


# What a task is registered as


def targets(reader: Reader, task: Task, body: Json) -> list[TaskTarget] | None:
    """What a task that runs is in each of its target groups; ``None`` while its ports are not known."""
    found = []
    for each in task.load_balancers:
        if each.get("loadBalancerName"):
            found += _instance_of(reader, task, each["loadBalancerName"])
            continue
        group = elb.target_group(reader, task.account, task.region, each["targetGroupArn"])
        port = host_port(task, body, each["containerName"], each["containerPort"], _transport(group))
        if port is None:
            return None
        awsvpc = body.get("networkMode") == "awsvpc"
        target_id = address(reader, task) if awsvpc else machine(reader, task)
        if target_id:
            found.append(TaskTarget(group=each["targetGroupArn"], id=target_id, port=port))
    return found


def _instance_of(reader: Reader, task: Task, name: str) -> list[TaskTarget]:
    """What a task is in a classic load balancer: its instance, at whatever port."""
    balancer, target_id = elb.classic(reader, task.account, task.region, name), machine(reader, task)
    return [TaskTarget(group=balancer.arn if balancer else name, id=target_id, port=0)] if target_id else []


def place(reader: Reader, group: str) -> Place:
    """Where a target is registered, as events say it."""
    if group.startswith("arn:") and elb.find(reader, group) is None and (name := elb.classic_name(reader, group)):
        return Place(name, classic=True)
    return Place(group, classic=not group.startswith("arn:"))


def _transport(group: TargetGroup | None) -> str:
    return "udp" if group is not None and group.protocol == "UDP" else "tcp"


def host_port(task: Task, body: Json, container: str, port: int, protocol: str = "tcp") -> int | None:
    """Where a container's port is reached: in bridge mode at the one that its agent reported, ``None`` until then."""
    if body.get("networkMode", "bridge") != "bridge":
        return port
    bindings = next((each.network_bindings for each in task.containers if each.name == container), [])
    mine = [each for each in bindings if each.get("containerPort") == port and each.get("protocol", "tcp") == protocol]
    return next((int(each["hostPort"]) for each in mine if each.get("hostPort")), None)


def machine(reader: Reader, task: Task) -> str:
    """The EC2 instance that a task runs on, "" where it is none of the user's."""
    instance = reader.get(CONTAINER_INSTANCES, task.instance_arn) if task.instance_arn else None
    return (instance.ec2_instance_id or "") if instance is not None and task.launch_type == "EC2" else ""


def address(reader: Reader, task: Task) -> str:
    """A task's address: its interface's, else its instance's; "" where it has none."""
    attachment = interface_attachment(task)
    if attachment is not None:
        return detail(attachment, "privateIPv4Address") or ""
    instance = reader.get(INSTANCES, machine(reader, task))
    return (instance.private_ip or "") if instance is not None else ""


def unregistrable(reader: Reader, target: TaskTarget) -> str:
    """Why ELB would refuse to register a target, in its words; "" where it would not."""
    group = elb.find(reader, target.group)
    if group is None:
        return _refused_by_classic(reader, target)
    instance = reader.get(INSTANCES, target.id) if group.target_type == "instance" else None
    if instance is not None and instance.vpc_id != group.vpc_id:
        return f"The following targets are not in the target group VPC '{group.vpc_id}': '{target.id}'"
    return ""


def _refused_by_classic(reader: Reader, target: TaskTarget) -> str:
    balancer, instance = elb.load_balancer(reader, target.group), reader.get(INSTANCES, target.id)
    if balancer is None and target.group.startswith("arn:"):
        return f"Target groups '{target.group}' not found"
    if balancer is None:
        return f"There is no ACTIVE Load Balancer named '{target.group}'"
    if instance is not None and instance.vpc_id != balancer.vpc_id:
        return f"EC2 instance {target.id} is not in the same VPC as ELB."
    return ""


# What their health says


class Seen(msgspec.Struct, frozen=True):
    """A task's target as its group has it. ``used``: a load balancer leads to the group."""

    target: TaskTarget
    group: bool  # it, or the classic load balancer, is there
    used: bool
    state: str | None = None  # TargetHealth's, ``None`` where it is not registered
    description: str = ""


WELL, STARTING, UNWELL = "well", "starting", "unwell"


def look(reader: Reader, target: TaskTarget) -> Seen:
    """How a target is doing."""
    group = elb.exists(reader, target.group)
    found = elb.target(reader, target.group, target.id, target.port)
    used = bool(elb.load_balancers(reader, target.group))
    if found is None:
        return Seen(target, group, used)
    return Seen(target, group, used, found.state, elb.description(reader, found))


def judge(seen: Seen, served: bool) -> str:
    """Whether a running task is well by one of its targets. ``served``: all of them were healthy at one time.

    A balancer that begins to check anew, or is gone, makes no task bad that has served; one that has not waits.
    """
    if not seen.group or not seen.used or seen.state == "initial":
        return WELL if served or (seen.group and not seen.used) else STARTING
    return WELL if seen.state == "healthy" else UNWELL


def verdict(seen: Sequence[Seen], served: bool) -> tuple[str, Seen | None]:
    """Whether a running task is well by all of its targets; which one is to blame where it is not."""
    judged = [(judge(each, served), each) for each in seen]
    for kind in (UNWELL, STARTING):
        blamed = next((each for found, each in judged if found == kind), None)
        if blamed is not None:
            return kind, blamed
    return WELL, None


def reason(seen: Seen) -> str:
    """Why a target is not healthy, in ELB's words."""
    if seen.state is None or (seen.state == DRAINING and not seen.description):
        return NOT_REGISTERED
    return seen.description or "Health checks failed"
