"""What is stored of file systems. Times are seconds since the epoch."""

from __future__ import annotations

import msgspec

from dryport.aws import arn
from dryport.store import Reader, Table


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored."""


class FileSystem(Record, frozen=True, kw_only=True):
    """A file system; ``availability_zone`` is set for One Zone ones, ``provisioned`` is MiB/s.

    ``state`` is ``creating`` until its directory is there, ``available``, or ``deleting`` until that is gone.
    """

    id: str
    account: str
    region: str
    creation_token: str
    created_at: float
    state: str = "creating"
    performance_mode: str = "generalPurpose"
    throughput_mode: str = "bursting"
    provisioned: float | None = None
    throughput_changed_at: float | None = None
    availability_zone: str = ""
    tags: dict[str, str] = {}
    bytes: int = 0
    measured_at: float | None = None

    @property
    def arn(self) -> str:
        return arn.make("elasticfilesystem", self.region, self.account, f"file-system/{self.id}")


class MountTarget(Record, frozen=True, kw_only=True):
    """Where a file system is mounted from in one availability zone: an interface in a subnet there."""

    id: str
    account: str
    region: str
    file_system_id: str
    vpc_id: str
    subnet_id: str
    availability_zone: str
    interface_id: str
    ip_address: str


class PosixUser(Record, frozen=True, kw_only=True):
    """Who every operation through an access point is done as."""

    uid: int
    gid: int
    secondary_gids: list[int] | None = None


class CreationInfo(Record, frozen=True, kw_only=True):
    """What an access point's root directory is made with where it is not there yet; ``permissions`` is octal."""

    owner_uid: int
    owner_gid: int
    permissions: str


class AccessPoint(Record, frozen=True, kw_only=True):
    id: str
    account: str
    region: str
    file_system_id: str
    client_token: str
    posix_user: PosixUser | None = None
    path: str = "/"
    creation_info: CreationInfo | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return arn.make("elasticfilesystem", self.region, self.account, f"access-point/{self.id}")


def scope(account: str, region: str) -> str:
    """The index value for what an account has in a region."""
    return f"{account}/{region}"


def token(account: str, region: str, text: str) -> str:
    """The index value of an idempotency token."""
    return f"{account}/{region}/{text}"


FILE_SYSTEMS = Table(
    "efs.file_system",
    FileSystem,
    key=lambda f: f.id,
    indexes={
        "scope": lambda f: scope(f.account, f.region),
        "token": lambda f: token(f.account, f.region, f.creation_token),
    },
)
MOUNT_TARGETS = Table(
    "efs.mount_target",
    MountTarget,
    key=lambda m: m.id,
    indexes={"file_system": lambda m: m.file_system_id},
)
ACCESS_POINTS = Table(
    "efs.access_point",
    AccessPoint,
    key=lambda a: a.id,
    indexes={
        "scope": lambda a: scope(a.account, a.region),
        "file_system": lambda a: a.file_system_id,
        "token": lambda a: token(a.account, a.region, a.client_token),
    },
)


def mount_targets(reader: Reader, file_system_id: str) -> list[MountTarget]:
    """A file system's mount targets, in the order of their zones."""
    return sorted(reader.find(MOUNT_TARGETS, "file_system", file_system_id), key=lambda m: m.availability_zone)
