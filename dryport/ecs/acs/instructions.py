"""What to tell an agent of a task. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from dryport.ecs import ebs, lifecycle
from dryport.ecs.model import Task


class Instruction(Enum):
    """What a message asks of the agent."""

    ATTACH = "attach"  # expect an interface
    CONFIRM = "confirm"  # mount a volume
    START = "start"
    STOP = "stop"


# From here on a task needs its agent no more.
_PAST_THE_AGENT = ("DEPROVISIONING", "STOPPED")


def instruction(task: Task | None, instance_arn: str, told: Instruction | None) -> Instruction | None:
    """What an instance is to be told of a task, given what it was ``told`` on this connection; ``None``: nothing.

    A stop is told even of a task that never was acknowledged: the start may have arrived all the same. An agent that
    does not know the task answers that it has stopped.
    """
    if task is None or task.instance_arn != instance_arn or task.last_status in _PAST_THE_AGENT:
        return None
    if task.desired_status == "STOPPED":
        if task.registration in lifecycle.REGISTERED and task.last_status in ("RUNNING", "DEACTIVATING"):
            return None  # nobody is to be led to it any more: the change that says so wakes the session
        return None if told is Instruction.STOP else Instruction.STOP
    if task.sent or told is Instruction.START:
        return None
    waiting = [each for each in task.attachments if each.status != "ATTACHED"]
    if task.launch_type != "FARGATE" and any(each.type != ebs.TYPE for each in waiting):
        # AWS's agent must have seen the device of an interface before it is handed the task that uses it.
        return None if told else Instruction.ATTACH
    volume = next((each for each in waiting if each.type == ebs.TYPE), None)
    if volume is not None:
        offered = task.launch_type != "FARGATE" and volume.status == "ATTACHING"
        # Otherwise the change that has it on the instance, or on Fargate mounted, wakes the session.
        return Instruction.CONFIRM if offered and told is not Instruction.CONFIRM else None
    if task.file_systems in ("wanted", "mounting"):
        return None  # the change that has them mounted wakes the session
    return Instruction.START


def confirmed_stops(
    candidates: Iterable[Mapping[str, Any]], tasks: Mapping[str, Task], instance_arn: str
) -> list[tuple[str, str]]:
    """Of the tasks that an agent runs and the manifest lacked, those (task and cluster ARN) that must stop.

    ``tasks`` are the known ones by ARN: one that came to the instance after the manifest was written may stay.
    """
    found = []
    for candidate in candidates:
        task_arn = str(candidate.get("taskArn", ""))
        task = tasks.get(task_arn)
        wanted = task is not None and task.instance_arn == instance_arn and task.desired_status != "STOPPED"
        if task_arn and not wanted:
            found.append((task_arn, str(candidate.get("taskClusterArn", ""))))
    return found
