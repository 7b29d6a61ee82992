"""The messages of the agent protocol, both ways. Pure. Shapes: the agent protocol page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from dryport.ecs.model import ContainerInstance, Task

Json = dict[str, Any]

# The agent waits so long for an interface's device to come up (ECS's own value).
ATTACH_TIMEOUT_MS = 300_000


class Frame(NamedTuple):
    """A text frame, decoded."""

    type: str
    message: Json


def encode(type: str, message: Json) -> str:
    """The text frame of a message."""
    return msgspec.json.encode({"type": type, "message": message}).decode()


def decode(text: str) -> Frame | None:
    """The message in a text frame, or ``None`` where there is none in it."""
    try:
        frame = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        return None
    message = frame.get("message")
    return Frame(frame["type"], message if isinstance(message, dict) else {})


def decode_signed(text: str) -> Frame | None:
    """The message in a telemetry frame: a signed header block, a blank line, then JSON.

    The connection's handshake was verified; the block says nothing more of the same peer.
    """
    return decode(text.split("\r\n\r\n", 1)[-1])


def heartbeat(message_id: str) -> str:
    return encode("HeartbeatMessage", {"healthy": True, "messageId": message_id})


def payload(instance: ContainerInstance, message_id: str, sequence: int, now: float, task: Json) -> str:
    """One task to start or stop. ``sequence`` only grows; ``now`` in seconds."""
    message = _addressed(instance, message_id, now) | {"seqNum": sequence, "tasks": [task]}
    return encode("PayloadMessage", message)


def attach_interface(instance: ContainerInstance, message_id: str, now: float, task: Task, interface: Json) -> str:
    """The interface that will appear on the instance for a task."""
    message = _addressed(instance, message_id, now) | {
        "taskClusterArn": task.cluster_arn,
        "taskArn": task.arn,
        "waitTimeoutMs": ATTACH_TIMEOUT_MS,
        "elasticNetworkInterfaces": [interface],
    }
    return encode("AttachTaskNetworkInterfacesMessage", message)


def confirm_attachment(instance: ContainerInstance, message_id: str, now: float, task: Task, attachment: Json) -> str:
    """The volume that is on the instance for a task, which the agent is to mount."""
    message = _addressed(instance, message_id, now) | {
        "taskClusterArn": task.cluster_arn,
        "taskArn": task.arn,
        "waitTimeoutMs": ATTACH_TIMEOUT_MS,
        "attachment": attachment,
    }
    return encode("ConfirmAttachmentMessage", message)


def credentials(message_id: str, task_arn: str, role_type: str, role_credentials: Json) -> str:
    """New keys of a role; ``role_type`` is TaskApplication or TaskExecution."""
    message = {
        "messageId": message_id,
        "taskArn": task_arn,
        "roleType": role_type,
        "roleCredentials": role_credentials,
    }
    return encode("IAMRoleCredentialsMessage", message)


def manifest(instance: ContainerInstance, message_id: str, now: float, tasks: Iterable[Task]) -> str:
    """Every task that the instance is to have. The instance's timeline says how new it is."""
    message = _addressed(instance, message_id, now) | {
        "timeline": instance.manifest_timeline,
        "tasks": [_identifier(task.arn, task.cluster_arn, task.desired_status) for task in tasks],
    }
    return encode("TaskManifestMessage", message)


def stop_verification(message_id: str, now: float, stop: Iterable[tuple[str, str]]) -> str:
    """Which of the tasks that the agent asked about (task and cluster ARN) must really stop."""
    tasks = [_identifier(task_arn, cluster_arn, "STOPPED") for task_arn, cluster_arn in stop]
    message = {"messageId": message_id, "generatedAt": _milliseconds(now), "stopTasks": tasks}
    return encode("TaskStopVerificationAck", message)


def _addressed(instance: ContainerInstance, message_id: str, now: float) -> Json:
    return {
        "clusterArn": instance.cluster_arn,
        "containerInstanceArn": instance.arn,
        "messageId": message_id,
        "generatedAt": _milliseconds(now),
    }


def _identifier(task_arn: str, cluster_arn: str, desired_status: str) -> Json:
    return {"taskArn": task_arn, "taskClusterArn": cluster_arn, "desiredStatus": desired_status}


def _milliseconds(now: float) -> int:
    return int(now * 1000)
