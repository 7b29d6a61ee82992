"""What binds: states, attributes, resources, constraints. Each is a set of slots and the reason of who is not in it.

Pure. Sources of the reasons: "API failure reasons" and "Service event messages", Amazon ECS developer guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dryport.ecs.placement.board import Board, amounts, capacity
from dryport.ecs.placement.model import CPU, DYNAMIC_TCP, DYNAMIC_UDP, ENI, GPU, MEMORY, PORTS, Port, Request
from dryport.ecs.placement.query import Comparison, Query, tree

INACTIVE, AGENT, ATTRIBUTE = "INACTIVE", "AGENT", "ATTRIBUTE"
MEMBER_OF = "MemberOf placement constraint unsatisfied."
DISTINCT_INSTANCE = "DistinctInstance placement constraint unsatisfied."


class _Resource(NamedTuple):
    reason: str
    unit: str


_RESOURCES = {
    CPU: _Resource("RESOURCE:CPU", "CPU units"),
    MEMORY: _Resource("RESOURCE:MEMORY", "MiB of memory"),
    GPU: _Resource("RESOURCE:GPU", "GPUs"),
    ENI: _Resource("RESOURCE:ENI", "network interfaces"),
    PORTS: _Resource("RESOURCE:PORTS", "reserved host ports"),
    DYNAMIC_TCP: _Resource("RESOURCE:PORTS", "dynamic TCP host ports"),
    DYNAMIC_UDP: _Resource("RESOURCE:PORTS", "dynamic UDP host ports"),
}


class Filter(NamedTuple):
    """``slots`` says who passes now; ``says`` of a slot what is asked for and what is there.

    ``moving``: who passes changes with tasks, not with instances alone. ``figures``, where a resource is counted: how
    much is asked for, and how much a slot has left.
    """

    reason: str
    moving: bool
    slots: Callable[[], int]
    says: Callable[[int], str]
    figures: Callable[[int], tuple[int, int]] | None = None


def filters(board: Board, request: Request) -> list[Filter]:
    """All that a request asks of an instance, in the order in which failures name it."""
    return [
        Filter(INACTIVE, False, lambda: board.active, lambda slot: f"it is {board.instances[slot].status}"),
        Filter(AGENT, False, lambda: board.connected, lambda slot: _agent(board, slot)),
        *(_attribute(board, name, values) for name, values in request.attributes),
        *(_amount(board, name, amount) for name, amount in amounts(request.needs)),
        *(_port(board, port) for port in sorted(request.needs.ports)),
        *(_constraint(board, request, query) for query in request.constraints),
    ]


def _agent(board: Board, slot: int) -> str:
    return f"its agent is {'connected' if board.instances[slot].agent_connected else 'not connected'}"


def _attribute(board: Board, name: str, values: tuple[str, ...]) -> Filter:
    subject = f"{tree.ATTRIBUTE}{name}"
    if values:
        asked, wanted = Comparison(subject, "in", values, values.__contains__), f"{name} = {' or '.join(values)}"
    else:
        asked, wanted = Comparison(subject, "exists", (), lambda _: True), name

    def says(slot: int) -> str:
        found = board.instances[slot].attributes.get(name)
        there = "does not have it" if found is None else f"has {found or 'it'}"
        return f"needs the attribute {wanted}, {there}"

    return Filter(ATTRIBUTE, False, lambda: board.select(asked), says)


def _amount(board: Board, name: str, amount: int) -> Filter:
    numbers, resource = board.left[name], _RESOURCES[name]

    def says(slot: int) -> str:
        return f"needs {amount} {resource.unit}, {numbers.of[slot]} left of {capacity(board.instances[slot])[name]}"

    return Filter(
        resource.reason, True, lambda: numbers.at_least(amount), says, lambda slot: (amount, numbers.of[slot])
    )


def _port(board: Board, port: Port) -> Filter:
    def says(slot: int) -> str:
        return f"needs the {port[0].upper()} host port {port[1]}, which {_holder(board, port, slot)}"

    return Filter("RESOURCE:PORTS", True, lambda: board.everyone ^ board.taken.get(port, 0), says)


def _holder(board: Board, port: Port, slot: int) -> str:
    instance = board.instances[slot]
    if port in instance.ports:
        return "the instance keeps for itself"
    for task in board.tasks_on(instance.arn):
        if port in task.ports:
            return f"the task {task.arn.rpartition('/')[2]} of the group {task.group} has"
    return "is free"


def _constraint(board: Board, request: Request, query: Query | None) -> Filter:
    if query is None:
        group = request.group

        def distinct(slot: int) -> str:
            return f"{'has a' if board.hosting(group) >> slot & 1 else 'has no'} task of the group {group}"

        return Filter(DISTINCT_INSTANCE, True, lambda: board.everyone ^ board.hosting(group), distinct)

    def member(slot: int) -> str:
        return f"{'is' if board.select(query.root) >> slot & 1 else 'is not'} a member of {query.text}"

    return Filter(MEMBER_OF, query.moving, lambda: board.select(query.root), member)
