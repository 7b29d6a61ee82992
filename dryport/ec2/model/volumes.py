"""EBS volumes."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope_of, token
from dryport.store import Table


class VolumeAttachment(Record, frozen=True, kw_only=True):
    """``state``: attaching, attached, busy, detaching."""

    instance_id: str
    device: str
    attached_at: float
    state: str = "attaching"
    delete_on_termination: bool = False


class Volume(Resource, frozen=True, kw_only=True):
    """A volume of ``size`` GiB. ``state``: creating, available, in-use, deleting, error.

    ``root`` where it is the root volume of the instance that it is attached to: the host driver makes and removes that
    one's disk together with the instance.
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
    client_token: str = ""


VOLUMES = Table(
    "ec2.volume",
    Volume,
    key=lambda v: v.id,
    indexes={
        "scope": scope_of,
        "state": lambda v: v.state,
        "instance": lambda v: v.attachment.instance_id if v.attachment is not None else None,
        "snapshot": lambda v: v.snapshot_id or None,
        "token": lambda v: token(v.account, v.region, v.client_token),
    },
)
