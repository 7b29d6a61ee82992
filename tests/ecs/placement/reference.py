"""Placement as plainly as it can be said: lists of instances and tasks, looked through for every decision.

What the board decides is held against this. The order of the instances is the one in which their places were given out:
a new instance takes the place that became free last, if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import Random

from dryport.ecs.placement.model import Instance, Needs, Occupant, Request, Strategy
from dryport.ecs.placement.query import And, Comparison, Node, Not


class Cluster:
    def __init__(self) -> None:
        self.places: list[Instance | None] = []
        self.free: list[int] = []
        self.tasks: dict[str, Occupant] = {}

    def put_instance(self, instance: Instance) -> None:
        for place, known in enumerate(self.places):
            if known is not None and known.arn == instance.arn:
                self.places[place] = instance
                return
        if self.free:
            self.places[self.free.pop()] = instance
        else:
            self.places.append(instance)

    def remove_instance(self, arn: str) -> None:
        for place, known in enumerate(self.places):
            if known is not None and known.arn == arn:
                self.places[place] = None
                self.free.append(place)

    @property
    def instances(self) -> list[Instance]:
        return [instance for instance in self.places if instance is not None]

    def on(self, instance: Instance) -> list[Occupant]:
        return [task for task in self.tasks.values() if task.instance_arn == instance.arn]

    def there(self, task: Occupant) -> Instance | None:
        return next((each for each in self.instances if each.arn == task.instance_arn), None)


def reason(cluster: Cluster, request: Request, instance: Instance) -> str | None:
    """Why a task cannot go on an instance."""
    tasks, needs = cluster.on(instance), request.needs
    if instance.status != "ACTIVE":
        return "INACTIVE"
    if not instance.agent_connected:
        return "AGENT"
    for name, values in request.attributes:
        if name not in instance.attributes or (values and instance.attributes[name] not in values):
            return "ATTRIBUTE"
    if needs.cpu and needs.cpu > left(cluster, instance, "CPU"):
        return "RESOURCE:CPU"
    if needs.memory and needs.memory > left(cluster, instance, "MEMORY"):
        return "RESOURCE:MEMORY"
    if needs.gpus and needs.gpus > len(instance.gpus) - sum(task.needs.gpus for task in tasks):
        return "RESOURCE:GPU"
    if needs.interfaces and needs.interfaces > instance.interfaces - sum(task.needs.interfaces for task in tasks):
        return "RESOURCE:ENI"
    named = len(instance.ports) + sum(len(task.needs.ports) for task in tasks)
    if needs.ports and named + len(needs.ports) > 100:
        return "RESOURCE:PORTS"
    for protocol, dynamic in (("tcp", needs.dynamic_tcp), ("udp", needs.dynamic_udp)):
        wanted = dynamic + len(in_range(needs.ports, protocol))
        given = len(in_range(instance.ports, protocol))
        for task in tasks:
            given += task.needs.dynamic_tcp if protocol == "tcp" else task.needs.dynamic_udp
            given += len(in_range(task.needs.ports, protocol))
        if wanted and given + wanted > 60999 - 32768 + 1:
            return "RESOURCE:PORTS"
    taken = instance.ports.union(*(task.ports for task in tasks))
    if needs.ports & taken:
        return "RESOURCE:PORTS"
    for query in request.constraints:
        if query is None:
            if any(task.group == request.group for task in tasks):
                return "DistinctInstance placement constraint unsatisfied."
        elif not member(cluster, query.root, instance):
            return "MemberOf placement constraint unsatisfied."
    return None


def in_range(ports: Iterable[tuple[str, int]], protocol: str) -> list[int]:
    return [number for its, number in ports if its == protocol and 32768 <= number <= 60999]


def left(cluster: Cluster, instance: Instance, resource: str) -> int:
    if resource == "CPU":
        return instance.cpu - sum(task.needs.cpu for task in cluster.on(instance))
    return instance.memory - sum(task.needs.memory for task in cluster.on(instance))


def feasible(cluster: Cluster, request: Request) -> list[Instance]:
    return [
        instance
        for instance in cluster.instances
        if instance.launch_type == request.launch_type and reason(cluster, request, instance) is None
    ]


def preferred(cluster: Cluster, request: Request) -> list[Instance]:
    """The instances between which strategies leave the choice."""
    tied = feasible(cluster, request)
    for strategy in request.strategies:
        if strategy.type == "random":
            break
        keys = [_key(cluster, request.group, strategy, instance) for instance in tied]
        tied = [instance for instance, key in zip(tied, keys, strict=True) if key == min(keys)]
    return tied


def choose(cluster: Cluster, request: Request, random: Random) -> Instance | None:
    tied = preferred(cluster, request)
    if len(tied) < 2:
        return tied[0] if tied else None
    return tied[int(random.random() * len(tied))]


def place_alike(cluster: Cluster, request: Request, arns: Sequence[str], random: Random) -> list[str | None]:
    """Tasks of one request, one after the other."""
    placed: list[str | None] = []
    for arn in arns:
        chosen = choose(cluster, request, random)
        placed.append(put(cluster, request, arn, chosen))
    return placed


def put(cluster: Cluster, request: Request, arn: str, chosen: Instance | None) -> str | None:
    """Put a task on an instance that was chosen for it."""
    if chosen is None:
        return None
    needs = request.needs
    cluster.tasks[arn] = Occupant(arn=arn, instance_arn=chosen.arn, group=request.group, needs=needs, ports=needs.ports)
    return chosen.arn


def follow(cluster: Cluster, request: Request, arns: Sequence[str], placed: Sequence[str | None]) -> None:
    """Place tasks of one request, one after the other, where somebody else has: each decision must be one that
    ``choose`` could have made, whatever it drew. Raises AssertionError."""
    for arn, where in zip(arns, placed, strict=True):
        tied = preferred(cluster, request)
        assert where in [each.arn for each in tied] or (where is None and not tied), (arn, where, tied)
        put(cluster, request, arn, next((each for each in tied if each.arn == where), None))


def _key(cluster: Cluster, group: str, strategy: Strategy, instance: Instance) -> int:
    if strategy.type == "binpack":
        return max(0, left(cluster, instance, strategy.field))
    return in_domain(cluster, group, strategy.field, instance)


def in_domain(cluster: Cluster, group: str, field: str, instance: Instance) -> int:
    """How many wanted tasks of a group are on instances that have what this one has."""
    wanted = [task for task in cluster.tasks.values() if task.group == group and task.wanted]
    hosts = [host for task in wanted if (host := cluster.there(task)) is not None]
    return sum(domain(host, field) == domain(instance, field) for host in hosts)


def domain(instance: Instance, field: str) -> str | None:
    return instance.arn if field == "instanceId" else instance.attributes.get(field.removeprefix("attribute:"))


def to_stop(
    cluster: Cluster, arns: Sequence[str], count: int, strategies: Sequence[Strategy], random: Random
) -> list[str]:
    """Which tasks of a group stop."""
    tasks = dict(cluster.tasks)
    default = (Strategy("spread", "attribute:ecs.availability-zone"), Strategy("spread", "instanceId"))
    nowhere = [arn for arn in arns if cluster.there(tasks[arn]) is None]
    candidates = [arn for arn in arns if arn not in nowhere]
    stopped = list(nowhere)
    kinds = list(dict.fromkeys(tasks[arn].needs for arn in candidates))
    while len(stopped) < count and candidates:
        tied = candidates
        for strategy in strategies or default:
            if strategy.type == "random":
                break
            keys = [_stop_key(cluster, strategy, tasks[arn]) for arn in tied]
            tied = [arn for arn, key in zip(tied, keys, strict=True) if key == max(keys)]
        stopped.append(_any(cluster, kinds, candidates, tied, random))
        candidates.remove(stopped[-1])
        del cluster.tasks[stopped[-1]]
    cluster.tasks.update({arn: tasks[arn] for arn in arns})
    return stopped[:count]


def _stop_key(cluster: Cluster, strategy: Strategy, task: Occupant) -> int:
    instance = cluster.there(task)
    assert instance is not None
    if strategy.type == "spread":
        return in_domain(cluster, task.group, strategy.field, instance)
    needed = task.needs.cpu if strategy.field == "CPU" else task.needs.memory
    return max(0, left(cluster, instance, strategy.field)) + needed


def _any(cluster: Cluster, kinds: list[Needs], candidates: list[str], tied: list[str], random: Random) -> str:
    """One of the tied tasks, each as likely as the other. Their order does not matter to anyone but the comparison."""
    order: list[tuple[int, int, int, int]] = []
    # By needs (first come first), number of such candidates on the instance, place of the instance, turn.
    for arn in tied:
        task = cluster.tasks[arn]
        like = [
            each
            for each in candidates
            if (cluster.tasks[each].needs, cluster.tasks[each].instance_arn) == (task.needs, task.instance_arn)
        ]
        place = next(p for p, i in enumerate(cluster.places) if i is not None and i.arn == task.instance_arn)
        order.append((kinds.index(task.needs), len(like), place, like.index(arn)))
    return tied[order.index(sorted(order)[int(random.random() * len(order))])]


def member(cluster: Cluster, node: Node, instance: Instance) -> bool:
    """Whether an expression selects an instance."""
    if isinstance(node, Not):
        return not member(cluster, node.operand, instance)
    if not isinstance(node, Comparison):
        found = [member(cluster, operand, instance) for operand in node.operands]
        return all(found) if isinstance(node, And) else any(found)
    values = _values(cluster, node.subject, instance)
    if node.operator == "exists":
        return bool(values)
    if node.operator == "!exists":
        return not values
    return any(_passes(node, value) for value in values)


def _values(cluster: Cluster, subject: str, instance: Instance) -> list[str]:
    name = subject.removeprefix("attribute:")
    if name != subject:
        return [instance.attributes[name]] if name in instance.attributes else []
    return {
        "agentConnected": lambda: [str(instance.agent_connected).lower()],
        "ec2InstanceId": lambda: [instance.ec2_instance_id] if instance.ec2_instance_id else [],
        "runningTasksCount": lambda: [str(sum(task.running for task in cluster.on(instance)))],
        "task:group": lambda: [task.group for task in cluster.on(instance)],
    }[subject]()


def _passes(node: Comparison, value: str) -> bool:
    operator, arguments = node.operator, node.arguments
    if operator in ("==", "!="):
        return (value == arguments[0]) == (operator == "==")
    if operator in ("in", "!in"):
        return (value in arguments) == (operator == "in")
    if operator in ("=~", "!~"):
        return (re.fullmatch(arguments[0], value) is not None) == (operator == "=~")
    one, other = (int(value), int(arguments[0])) if node.subject == "runningTasksCount" else (value, arguments[0])
    return {">": one > other, ">=": one >= other, "<": one < other, "<=": one <= other}[operator]  # type: ignore[operator]
