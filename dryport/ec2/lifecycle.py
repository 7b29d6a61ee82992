"""The life of an instance, as pure functions: what a request, a report of the host driver or an end makes of it.

Source: "Amazon EC2 instance state changes", EC2 user guide; ``StateReason`` and ``StateTransitionReason`` in the API
reference of Instance.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from dryport.ec2.model import Instance

PENDING: Final = "pending"
RUNNING: Final = "running"
SHUTTING_DOWN: Final = "shutting-down"
TERMINATED: Final = "terminated"
STOPPING: Final = "stopping"
STOPPED: Final = "stopped"
CODES: Final = {PENDING: 0, RUNNING: 16, SHUTTING_DOWN: 32, TERMINATED: 48, STOPPING: 64, STOPPED: 80}

VISIBLE_SECONDS: Final = 3600.0  # for how long a terminated instance can be seen

USER_INITIATED: Final = "Client.UserInitiatedShutdown"
INSTANCE_INITIATED: Final = "Client.InstanceInitiatedShutdown"
INTERNAL_ERROR: Final = "Server.InternalError"
NO_CAPACITY: Final = "Server.InsufficientInstanceCapacity"
_MESSAGES: Final = {
    USER_INITIATED: "User initiated shutdown",
    INSTANCE_INITIATED: "Instance initiated shutdown",
    INTERNAL_ERROR: "Internal error on launch",
    NO_CAPACITY: "Insufficient capacity to satisfy instance request",
}
HOST_LOST: Final = "The host of the instance ended unexpectedly"


def is_gone(instance: Instance) -> bool:
    """Whether it is terminated, or will be."""
    return instance.state in (SHUTTING_DOWN, TERMINATED)


def has_run(instance: Instance) -> bool:
    """Whether it ever came up."""
    return instance.booted > 0


def start(instance: Instance, now: float) -> Instance:
    """A stopped one, wanted running."""
    return replace(
        instance,
        state=PENDING,
        boot=instance.boot + 1,
        ready=False,
        force=False,
        launched_at=now,
        state_code=PENDING,
        state_message=PENDING,
        transition_reason="",
    )


def reboot(instance: Instance) -> Instance:
    """A running one, wanted to boot anew: it stays ``running``."""
    return replace(instance, boot=instance.boot + 1, ready=False)


def stop(instance: Instance, now: float, *, force: bool = False) -> Instance:
    """A running one, wanted stopped because somebody asked for it."""
    stopping = replace(instance, state=STOPPING, ready=False, force=force or instance.force)
    return _reasoned(stopping, USER_INITIATED, f"User initiated ({_stamp(now)})")


def terminate(instance: Instance, now: float, *, force: bool = False) -> Instance:
    """Any one, wanted gone because somebody asked for it. One that is stopped is terminated at once."""
    gone = replace(instance, state=SHUTTING_DOWN, ready=False, force=force or instance.force)
    if instance.state == STOPPED:
        gone = terminated(gone, now)
    return _reasoned(gone, USER_INITIATED, f"User initiated ({_stamp(now)})")


def came_up(instance: Instance, boot: int) -> Instance:
    """The host driver runs it for the ``boot``-th time."""
    if instance.state not in (PENDING, RUNNING) or boot < instance.booted:
        return instance
    return replace(instance, state=RUNNING, booted=boot, state_code="", state_message="")


def stopped(instance: Instance) -> Instance:
    """Nothing runs of it any more."""
    return replace(instance, state=STOPPED, ready=False, force=False)


def terminated(instance: Instance, now: float) -> Instance:
    """Nothing runs of it any more, and nothing will."""
    return replace(instance, state=TERMINATED, ready=False, force=False, terminated_at=now)


def ended(instance: Instance, by: str) -> Instance:
    """A running one that ended: ``by`` is ``shutdown`` (from inside) or ``killed``. What is left is to be cleared."""
    if by == "shutdown":
        state = SHUTTING_DOWN if instance.shutdown_terminates else STOPPING
        return _reasoned(replace(instance, state=state, ready=False), INSTANCE_INITIATED, "")
    return _reasoned(replace(instance, state=STOPPING, ready=False), INTERNAL_ERROR, "", HOST_LOST)


def recover(instance: Instance) -> Instance:
    """A running one whose machine was down: it boots again, unless that was declined."""
    if not instance.auto_recovery:
        return _reasoned(replace(instance, state=STOPPING, ready=False), INTERNAL_ERROR, "", HOST_LOST)
    return unpark(instance)


def park(instance: Instance) -> Instance:
    """The platform is going down: shut it down for now."""
    return replace(instance, parking=True)


def unpark(instance: Instance) -> Instance:
    """The platform is back: boot it again."""
    return replace(instance, boot=instance.boot + 1, ready=False, parking=False, parked=False)


def failed(instance: Instance, code: str, detail: str) -> Instance:
    """One that cannot be booted: the first time it is terminated, later it is stopped again."""
    state = STOPPING if has_run(instance) else SHUTTING_DOWN
    return _reasoned(replace(instance, state=state, ready=False, force=True), code, "", detail)


def _reasoned(instance: Instance, code: str, transition: str, detail: str = "") -> Instance:
    message = f"{code}: {detail or _MESSAGES[code]}"
    return replace(instance, state_code=code, state_message=message, transition_reason=transition)


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S GMT")
