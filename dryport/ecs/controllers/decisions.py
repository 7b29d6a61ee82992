"""What the control plane does next for a task. Pure: a snapshot in, a step out.

The agent's part (pulling, starting, stopping containers) is not here: its reports change the task, and the sessions
tell it what is wanted. Here is what ECS does around that: capacity, interface, credentials, and cleaning up.
"""

from __future__ import annotations

import msgspec

from dryport.ecs import ebs, lifecycle
from dryport.ecs.model import Task

CAPACITY_WAIT = 60.0  # seconds a Fargate task waits for a connected host
DEVICE_WAIT = 180.0  # seconds until an interface must be plugged
HOST_LOST_AFTER = 300.0  # seconds after which a Fargate host that is away is given up
LEAVE_WAIT = 10.0  # seconds until a task is stopped though somebody may still be led to it
RENEW_BEFORE = 3600.0  # seconds before their end that a task's credentials are renewed

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
INTERFACE_TIMEOUT = "Timeout waiting for network interface provisioning to complete."
INTERFACE_FAILED = "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: {error}"
MOUNT_TIMEOUT = (
    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: the instance of the task "
    "does not mount them in time."
)
HOST_LOST = "The host that the task ran on is no longer available."
DEREGISTERED = "Container instance deregistration forced by user"


class InterfaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A task's network interface as the host has it: wanted, plugged, unplugging, failed."""

    device: str
    error: str = ""


class VolumeView(msgspec.Struct, frozen=True, kw_only=True):
    """A task's EBS volume: whether it is there to be used; ``error`` is why it will not be, "" while it may."""

    attached: bool
    error: str = ""


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """The container instance of a task.

    ``away_for``: seconds without its agent, 0 while it is connected. ``ended``: how the EC2 instance under it has ended
    (``stopped``, ``terminated``), ``None`` while it has not or where there is none.
    """

    registered: bool
    ec2_instance_id: str | None = None
    ended: str | None = None
    away_for: float = 0.0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that the decision depends on.

    ``host`` is the task's own, ``capacity`` whether any Fargate host is connected; ``granted``: its roles' sessions
    are issued, until ``credentials_expire``; ``mount_refusal``: why it may not mount the file systems that it wants;
    ``volume`` is its EBS volume, ``None`` for a task that was to have none or that has let go of it; ``drained_at``:
    when the last of its load balancers' targets has drained, 0 where none drains.
    """

    task: Task
    now: float
    host: HostView | None = None
    capacity: bool = False
    granted: bool = False
    credentials_expire: float | None = None
    interface: InterfaceView | None = None
    mount_refusal: str = ""
    volume: VolumeView | None = None
    drained_at: float = 0.0


class Step(msgspec.Struct, frozen=True):
    """Base of what can be done next."""


class Wait(Step, frozen=True):
    """Nothing until something changes, or until so many seconds are over."""

    seconds: float | None = None


class Provision(Step, frozen=True):
    """Make a task's interface, issue its credentials, on Fargate choose its host."""


class Grant(Step, frozen=True):
    """Issue the credentials of a task that was placed on an instance."""


class Connect(Step, frozen=True):
    """The interface is there: say so, and go on to PENDING."""


class Mount(Step, frozen=True):
    """Have the task's file systems mounted where it runs."""


class Fail(Step, frozen=True):
    """The task cannot run: want it stopped."""

    code: str
    reason: str


class Advance(Step, frozen=True):
    """Go on to a status."""

    status: str


class Abandon(Step, frozen=True):
    """No agent has the task, or will answer for it: its containers count as stopped."""


class UseVolume(Step, frozen=True):
    """Let the task have its volume."""


class OfferVolume(Step, frozen=True):
    """Tell the agent of the volume that is on its instance."""


class FailVolume(Step, frozen=True):
    """It will not have its volume, so it ends."""

    reason: str


class Release(Step, frozen=True):
    """Give up the interface, the volume and the credentials."""


class Finish(Step, frozen=True):
    """Everything is given up: STOPPED."""


class Renew(Step, frozen=True):
    """Issue new keys before the present ones end."""


class Forget(Step, frozen=True):
    """Delete the task."""


def next_step(snapshot: Snapshot) -> Step:
    """The next thing to do for a task."""
    task = snapshot.task
    if task.last_status == lifecycle.STOPPED:
        return _after_the_end(snapshot)
    if task.last_status == lifecycle.DEPROVISIONING:
        return _deprovision(snapshot)
    if task.desired_status == lifecycle.STOPPED:
        return _stop(snapshot)
    lost = _host_lost(snapshot)
    if lost is not None:
        return lost
    if not snapshot.granted:
        return _prepare(snapshot)
    if not _attached(task):
        return _plug(snapshot)
    return _keep(snapshot)


def _prepare(snapshot: Snapshot) -> Step:
    task = snapshot.task
    if task.launch_type != "FARGATE":
        if task.instance_arn is None:
            return Wait()
        return Grant() if _attached(task) else Provision()
    if snapshot.capacity:
        return Provision()
    patience = CAPACITY_WAIT - (snapshot.now - task.created_at)
    return Wait(patience) if patience > 0 else Fail(lifecycle.TASK_FAILED_TO_START, NO_CAPACITY)


def _plug(snapshot: Snapshot) -> Step:
    interface = snapshot.interface
    if interface is not None and interface.device == "plugged":
        return Connect()
    if interface is None or interface.device == "failed":
        error = (interface.error if interface else "") or "netplugin failed with no error message"
        return Fail(lifecycle.TASK_FAILED_TO_START, INTERFACE_FAILED.format(error=error))
    patience = DEVICE_WAIT - (snapshot.now - snapshot.task.created_at)
    return Wait(patience) if patience > 0 else Fail(lifecycle.TASK_FAILED_TO_START, INTERFACE_TIMEOUT)


def _keep(snapshot: Snapshot) -> Step:
    deadlines = []
    if snapshot.volume is not None and not _has_volume(snapshot.task):
        if snapshot.volume.error:
            return FailVolume(snapshot.volume.error)
        if snapshot.volume.attached and snapshot.task.launch_type == "FARGATE":
            return UseVolume()
        if snapshot.volume.attached and not _offered(snapshot.task):
            return OfferVolume()
        deadlines.append(DEVICE_WAIT - (snapshot.now - snapshot.task.created_at))
        if deadlines[0] <= 0:
            return FailVolume(ebs.TIMEOUT)
    if snapshot.task.file_systems == "wanted":
        refusal = snapshot.mount_refusal
        return Fail(lifecycle.TASK_FAILED_TO_START, refusal) if refusal else Mount()
    if snapshot.task.file_systems == "mounting":
        deadlines.append(DEVICE_WAIT - (snapshot.now - snapshot.task.created_at))
        if deadlines[-1] <= 0:
            return Fail(lifecycle.TASK_FAILED_TO_START, MOUNT_TIMEOUT)
    if snapshot.credentials_expire is not None:
        renew_in = snapshot.credentials_expire - RENEW_BEFORE - snapshot.now
        if renew_in <= 0:
            return Renew()
        deadlines.append(renew_in)
    deadlines += _patience_with_host(snapshot)
    return Wait(min(deadlines, default=None))


def _stop(snapshot: Snapshot) -> Step:
    task, host = snapshot.task, snapshot.host
    if host is None or not host.registered or host.ended or _given_up(task, host):
        return Abandon()
    if task.last_status == lifecycle.RUNNING:
        return Advance(lifecycle.DEACTIVATING)
    if task.last_status == lifecycle.DEACTIVATING and task.registration == "registered":
        return Wait(min(_patience_with_host(snapshot), default=None))  # it is deregistered in a moment
    found = max(task.left_at or task.stopping_at or snapshot.now, snapshot.drained_at) + LEAVE_WAIT - snapshot.now
    if task.last_status == lifecycle.DEACTIVATING and task.registration == "leaving" and found > 0:
        return Wait(min([found, *_patience_with_host(snapshot)]))
    if task.last_status != lifecycle.STOPPING:
        return Advance(lifecycle.STOPPING)
    return Wait(min(_patience_with_host(snapshot), default=None))


def _deprovision(snapshot: Snapshot) -> Step:
    interface = snapshot.interface
    if snapshot.granted or (interface is not None and interface.device != "unplugging"):
        return Release()
    return Finish() if interface is None and snapshot.volume is None else Wait()


def _after_the_end(snapshot: Snapshot) -> Step:
    if snapshot.granted:
        return Release()
    if lifecycle.expired(snapshot.task, snapshot.now):
        # One that is still registered leaves first, or nobody would know whose target it was.
        return Wait() if snapshot.task.registration == "registered" else Forget()
    return Wait((snapshot.task.stopped_at or 0.0) + lifecycle.STOPPED_SECONDS - snapshot.now)


def _host_lost(snapshot: Snapshot) -> Step | None:
    task, host = snapshot.task, snapshot.host
    if task.instance_arn is None:
        return None
    failed_to_start = lifecycle.is_before(task.last_status, lifecycle.RUNNING)
    code = lifecycle.TASK_FAILED_TO_START if failed_to_start else lifecycle.TERMINATION_NOTICE
    if host is not None and host.ended:
        reason = lifecycle.HOST_STOPPED if host.ended == "stopped" else lifecycle.HOST_TERMINATED
        return Fail(code, reason.format(instance=host.ec2_instance_id))
    if host is None or not host.registered:
        return Fail(code, DEREGISTERED)
    return Fail(code, HOST_LOST) if _given_up(task, host) else None


def _given_up(task: Task, host: HostView) -> bool:
    # The machines of container instances are the user's to mourn: their tasks stay until they return or are gone.
    return task.launch_type == "FARGATE" and host.away_for >= HOST_LOST_AFTER


def _patience_with_host(snapshot: Snapshot) -> list[float]:
    host = snapshot.host
    away = snapshot.task.launch_type == "FARGATE" and host is not None and host.away_for > 0
    return [HOST_LOST_AFTER - host.away_for] if away and host else []


def _has_volume(task: Task) -> bool:
    made = ebs.attachment(task)
    return made is None or made.status == "ATTACHED"


def _offered(task: Task) -> bool:
    made = ebs.attachment(task)
    return made is not None and made.status == "ATTACHING"


def _attached(task: Task) -> bool:
    before = ("PRECREATED", "CREATED", "ATTACHING")
    return not any(each.type == "ElasticNetworkInterface" and each.status in before for each in task.attachments)
