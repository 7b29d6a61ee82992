"""EBS volumes and their snapshots."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope_of, token
from dryport.store import Table


class VolumeAttachment(Record, frozen=True, kw_only=True):
    """To an instance, or for a task, ``resource``, which has it mounted with a ``file_system``.

    A task's volume is attached to its instance; on Fargate, which has none, it is mounted on this machine. ``state``:
    attaching, attached, detaching, busy (detaching, but mounted). ``force`` takes it away mounted. ``error`` is why a
    task cannot have it.
    """

    instance_id: str
    device: str
    attached_at: float
    state: str = "attaching"
    delete_on_termination: bool = False
    force: bool = False
    resource: str = ""
    file_system: str = ""
    error: str = ""

    @property
    def on_fargate(self) -> bool:
        """Whether it is for a task that no instance runs."""
        return bool(self.resource) and not self.instance_id


class VolumeFigures(Record, frozen=True, kw_only=True):
    """What of a volume can be modified: type, GiB, operations a second, MiB/s (``None`` where the type has none)."""

    volume_type: str
    size: int
    iops: int | None = None
    throughput: int | None = None


class VolumeModification(Record, frozen=True, kw_only=True):
    """The last modification of a volume. ``state``: modifying, completed, failed."""

    original: VolumeFigures
    target: VolumeFigures
    started_at: float
    state: str = "modifying"
    ended_at: float | None = None
    message: str = ""


class Volume(Resource, frozen=True, kw_only=True):
    """A volume of ``size`` GiB. ``state``: creating, available, in-use, deleting, error.

    ``root`` where the instance that it is attached to boots from it. One that instances can boot from has a ``base``:
    what is on it goes back to, ``ecs`` (with Docker and the container agent) or ``plain``; ``system`` where it is made
    with this machine's own system, as the snapshots of public images are not there. ``modified_at`` has the times of
    the modifications of the last day.
    """

    availability_zone: str
    size: int
    volume_type: str
    created_at: float
    snapshot_id: str = ""
    iops: int | None = None
    throughput: int | None = None
    state: str = "creating"
    attachment: VolumeAttachment | None = None
    root: bool = False
    base: str = ""
    system: bool = False
    auto_enable_io: bool = False
    modification: VolumeModification | None = None
    modified_at: list[float] = []
    client_token: str = ""
    request_digest: str = ""  # of the request that had this token

    @property
    def figures(self) -> VolumeFigures:
        """What of it can be modified."""
        return VolumeFigures(volume_type=self.volume_type, size=self.size, iops=self.iops, throughput=self.throughput)


class Snapshot(Resource, frozen=True, kw_only=True):
    """A volume as it was. ``state``: pending, completed, error, and deleting, which nobody sees.

    ``volume_size`` is GiB. ``source_id`` is the snapshot that it is a copy of, "" for one of a volume itself. Where
    ``public``, everybody may make volumes of it, otherwise the ``accounts`` beside its owner. ``base`` is the volume's.
    It is not taken while it is ``held``: the instance that an image is made of shuts down first.
    """

    volume_id: str
    volume_size: int
    started_at: float
    description: str = ""
    state: str = "pending"
    state_message: str = ""
    completed_at: float | None = None
    source_id: str = ""
    base: str = ""
    held: bool = False
    public: bool = False
    accounts: list[str] = []


VOLUMES = Table(
    "ec2.volume",
    Volume,
    key=lambda v: v.id,
    indexes={
        "scope": scope_of,
        "state": lambda v: v.state,
        "instance": lambda v: (v.attachment.instance_id or None) if v.attachment is not None else None,
        "resource": lambda v: (v.attachment.resource or None) if v.attachment is not None else None,
        "snapshot": lambda v: v.snapshot_id or None,
        "token": lambda v: token(v.account, v.region, v.client_token),
    },
)
SNAPSHOTS = Table(
    "ec2.snapshot",
    Snapshot,
    key=lambda s: s.id,
    indexes={
        "scope": scope_of,
        "volume": lambda s: s.volume_id,
        "source": lambda s: s.source_id or None,
        "shared": lambda s: [*s.accounts, *(("all",) if s.public else ())],
    },
)
