"""What an expression is made of.

A subject may have no value on an instance (an attribute that it lacks), one, or several (the groups of its tasks). A
comparison holds where some value passes its test: so ``attribute:stack != prod`` asks for an instance that has the
attribute, and ``task:group != web`` for one with a task of another group, as in ECS. ``not_exists`` holds where there
is no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

AGENT_CONNECTED = "agentConnected"
AGENT_VERSION = "agentVersion"
EC2_INSTANCE_ID = "ec2InstanceId"
REGISTERED_AT = "registeredAt"
RUNNING_TASKS_COUNT = "runningTasksCount"
TASK_GROUP = "task:group"
ATTRIBUTE = "attribute:"  # and the attribute's name

# What changes with an instance's tasks.
MOVING = (TASK_GROUP, RUNNING_TASKS_COUNT)


@dataclass(frozen=True)
class Comparison:
    """``subject operator [argument]``.

    ``operator`` is in its short form (``==``, ``!in``, ``exists``). ``test`` says whether a value of the subject passes
    (a text, for ``registeredAt`` whole seconds since the epoch, for ``runningTasksCount`` a number).
    """

    subject: str
    operator: str
    arguments: tuple[str, ...]
    test: Callable[[str | int], bool]

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for comparisons that mean the same."""
        return (self.subject, self.operator, *self.arguments)


@dataclass(frozen=True)
class Not:
    operand: Node


@dataclass(frozen=True)
class And:
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    operands: tuple[Node, ...]


Node = Comparison | Not | And | Or


@dataclass(frozen=True)
class Query:
    """An expression and its text."""

    text: str
    root: Node

    @property
    def moving(self) -> bool:
        """Whether what it selects changes with the instances' tasks."""
        return any(each.subject in MOVING for each in comparisons(self.root))


def comparisons(node: Node) -> Iterator[Comparison]:
    """The comparisons in a tree."""
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, Not):
        yield from comparisons(node.operand)
    else:
        for operand in node.operands:
            yield from comparisons(operand)
