"""Machine images: those that users make. The public ones are not stored (``ec2.public_images``)."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope, scope_of, token
from dryport.store import Table


class BlockDevice(Record, frozen=True, kw_only=True):
    """A volume that an instance starts with: of ``size`` GiB, a copy of ``snapshot_id`` or empty without one.

    ``iops`` and ``throughput`` (MiB/s) are ``None`` where the type decides.
    """

    device_name: str
    size: int
    snapshot_id: str = ""
    volume_type: str = "gp2"
    iops: int | None = None
    throughput: int | None = None
    delete_on_termination: bool = True


class Image(Resource, frozen=True, kw_only=True):
    """A machine image. ``account`` owns it.

    ``base`` is what its system goes back to: ``ecs`` (with Docker and the container agent) or ``plain``; ``disk`` is
    the snapshot of its root volume, "" for a public image, whose root volume has this machine's own system. ``state``:
    pending, available, failed, disabled. ``reboot`` while the instance that it is made of has yet to be rebooted.
    """

    name: str
    description: str = ""
    architecture: str
    base: str
    disk: str = ""
    root_device_name: str = "/dev/xvda"
    block_devices: list[BlockDevice] = []
    created_at: float
    state: str = "available"
    state_reason: str = ""
    public: bool = False
    launch_accounts: list[str] = []
    owner_alias: str = ""
    source_instance_id: str = ""
    source_image_id: str = ""
    source_image_region: str = ""
    boot_mode: str = ""
    imds_support: str = ""
    ssm_parameter: str = ""
    deprecated_at: float | None = None
    deregistration_protection: str = "disabled"
    reboot: bool = False
    client_token: str = ""

    @property
    def root_device(self) -> BlockDevice:
        """The root volume's mapping."""
        return next(each for each in self.block_devices if each.device_name == self.root_device_name)


IMAGES = Table(
    "ec2.image",
    Image,
    key=lambda i: i.id,
    indexes={
        "scope": scope_of,
        "name": lambda i: f"{scope(i.account, i.region)}/{i.name}",
        "public": lambda i: i.region if i.public else None,
        "shared": lambda i: [scope(account, i.region) for account in i.launch_accounts],
        "state": lambda i: i.state,
        "disk": lambda i: i.disk or None,
        "snapshot": lambda i: [each.snapshot_id for each in i.block_devices if each.snapshot_id],
        "instance": lambda i: i.source_instance_id or None,
        "token": lambda i: token(i.account, i.region, i.client_token),
    },
)
