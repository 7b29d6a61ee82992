"""The clusters as placement sees them, made of the rows of instances and tasks and kept up to date with every write.

``tx.view(BOARDS)`` has them; a task that a transaction has put counts at once, so that no port and no memory is given
twice, however calls come. Only container instances have boards, not the platform's own capacity.
"""

from __future__ import annotations

from typing import Any, cast

from dryport.ec2 import published as ec2
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, ContainerInstance, Json, Task
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.model import Instance, Needs, Occupant, Port, Protocol
from dryport.ecs.taskdef.ports import host_ports
from dryport.store import Change, View

Boards = dict[str, Board]  # by the cluster's ARN
_UNTOLD_INTERFACES = 1 << 10  # of a machine that has no type of AWS's
_PORT_RESOURCES: dict[str, Protocol] = {"PORTS": "tcp", "PORTS_UDP": "udp"}


def board(boards: Boards, cluster_arn: str) -> Board:
    """The board of a cluster; an empty one where nothing is there."""
    return boards.get(cluster_arn) or Board()


def instance_of(row: ContainerInstance) -> Instance:
    """A container instance as placement sees it."""
    resources = {resource["name"]: resource for resource in row.registered_resources}

    def amount(name: str) -> int:
        return int(resources.get(name, {}).get("integerValue", 0))

    attributes = {each["name"]: each.get("value") or "" for each in row.attributes}
    interfaces = ec2.max_interfaces(attributes.get("ecs.instance-type", ""))
    return Instance(
        arn=row.arn,
        launch_type=row.capacity,
        ec2_instance_id=row.ec2_instance_id,
        status=row.status,
        agent_connected=row.agent_connected,
        agent_version=row.agent_version,
        registered_at=row.registered_at,
        attributes=attributes,
        cpu=amount("CPU"),
        memory=amount("MEMORY"),
        gpus=tuple(resources.get("GPU", {}).get("stringSetValue") or ()),
        interfaces=_UNTOLD_INTERFACES if interfaces is None else interfaces - 1,  # its own is none of a task's
        ports=frozenset(
            (protocol, int(number))
            for name, protocol in _PORT_RESOURCES.items()
            for number in resources.get(name, {}).get("stringSetValue") or ()
            if number.isdecimal()
        ),
    )


def needs_of(resources: Json) -> Needs:
    """What a task takes, from what is stored of it (``controllers.resources`` says how)."""
    named: list[Port] = [("tcp", number) for number in resources.get("ports", ())]
    named += [("udp", number) for number in resources.get("ports_udp", ())]
    return Needs(
        cpu=resources.get("cpu", 0),
        memory=resources.get("memory", 0),
        gpus=sum(resources.get("gpus", {}).values()),
        interfaces=resources.get("interfaces", 0),
        ports=frozenset(named),
        dynamic_tcp=resources.get("dynamic", 0),
        dynamic_udp=resources.get("dynamic_udp", 0),
    )


def occupant_of(task: Task) -> Occupant:
    """A task on an instance as placement sees it."""
    needs = needs_of(task.resources)
    bound = frozenset(
        cast(Port, (binding.get("protocol", "tcp"), port))
        for container in task.containers
        if container.last_status != "STOPPED"
        for binding in container.network_bindings
        for port in host_ports(binding)
    )
    return Occupant(
        arn=task.arn,
        instance_arn=task.instance_arn or "",
        group=task.group or "",
        needs=needs,
        ports=needs.ports | bound,
        gpus=tuple(gpu for container in task.containers for gpu in container.gpu_ids),
        wanted=task.desired_status == "RUNNING",
        running=task.last_status == "RUNNING",
    )


def _apply(boards: Boards, change: Change[Any]) -> None:
    item: Task | ContainerInstance = change.new or change.old  # type: ignore[assignment]
    there = boards.get(item.cluster_arn)
    counts = change.new is not None and _counts(item)
    if there is None:
        if not counts:
            return
        there = boards[item.cluster_arn] = Board()
    if isinstance(item, Task):
        if counts:
            there.put_task(occupant_of(item))
        else:
            there.remove_task(item.arn)
    elif counts:
        there.put_instance(instance_of(item))
    else:
        there.remove_instance(item.arn)
    if not there.slots and not there.tasks:
        del boards[item.cluster_arn]


def _counts(item: Task | ContainerInstance) -> bool:
    if isinstance(item, Task):
        return item.instance_arn is not None and item.launch_type != "FARGATE" and item.last_status != "STOPPED"
    return item.capacity != "FARGATE" and item.status != "INACTIVE"


def _none() -> Boards:
    return {}


BOARDS: View[Boards] = View("ecs.boards", (CONTAINER_INSTANCES, TASKS), _none, _apply)
