"""Volumes (EBS), their snapshots, and file systems that several hosts mount at once (EFS)."""

from __future__ import annotations

from dryport.host.messages.base import Message
from dryport.host.messages.instances import Disk


class EnsureVolume(Message, frozen=True, kw_only=True, tag="ensure_volume"):
    """Make a volume of so many GiB, or let it grow to that size.

    It is a copy of a snapshot where one is named; with ``system`` a root volume with this machine's own system; empty
    otherwise.
    """

    volume_id: str
    gib: int
    snapshot_id: str = ""
    system: bool = False


class DeleteVolume(Message, frozen=True, kw_only=True, tag="delete_volume"):
    volume_id: str


class SaveSnapshot(Message, frozen=True, kw_only=True, tag="save_snapshot"):
    """Copy a volume as it is now."""

    volume_id: str
    snapshot_id: str


class CopySnapshot(Message, frozen=True, kw_only=True, tag="copy_snapshot"):
    """Have another snapshot that holds the same."""

    source_id: str
    snapshot_id: str


class DeleteSnapshot(Message, frozen=True, kw_only=True, tag="delete_snapshot"):
    snapshot_id: str


class AttachDisk(Message, frozen=True, kw_only=True, tag="attach_disk"):
    """Make a volume a block device of a running instance."""

    instance_id: str
    disk: Disk


class DetachDisk(Message, frozen=True, kw_only=True, tag="detach_disk"):
    """Take it away; refused while a file system on it is mounted, unless ``force``."""

    instance_id: str
    disk: Disk
    force: bool = False


class MountVolume(Message, frozen=True, kw_only=True, tag="mount_volume"):
    """Have what is on a volume appear on this machine, in ``<state>/mounts/<id>``; formatted first where ``make``."""

    volume_id: str
    file_system: str  # ext3, ext4, xfs
    make: bool = False


class UnmountVolume(Message, frozen=True, kw_only=True, tag="unmount_volume"):
    """Have it appear there no more; refused while a container still has it."""

    volume_id: str


class EnsureFileSystem(Message, frozen=True, kw_only=True, tag="ensure_file_system"):
    file_system_id: str


class DeleteFileSystem(Message, frozen=True, kw_only=True, tag="delete_file_system"):
    file_system_id: str


class MountFileSystem(Message, frozen=True, kw_only=True, tag="mount_file_system"):
    """Have a file system appear in an instance below ``/run/dryport/filesystems``."""

    instance_id: str
    file_system_id: str


class UnmountFileSystem(Message, frozen=True, kw_only=True, tag="unmount_file_system"):
    instance_id: str
    file_system_id: str


class MeasureFileSystem(Message, frozen=True, kw_only=True, tag="measure_file_system"):
    """How large it is."""

    file_system_id: str


class FileSystemSize(Message, frozen=True, kw_only=True, tag="file_system_size"):
    bytes: int
