"""Whether a task or an instance may mount a file system, and what of it. Pure but for looking things up.

There is no NFS here, so nothing fails by itself where AWS's mount would: what would stop it is asked beforehand, and
answered in the words of the EFS mount helper as ECS passes them on.
"""

from __future__ import annotations

from typing import NamedTuple

from dryport.ec2 import published as ec2
from dryport.ec2.model import NetworkInterface
from dryport.efs import model, names
from dryport.efs.model import AccessPoint, FileSystem
from dryport.store import Reader

NFS = 2049
_LOOK_UP = (
    " - check that your file system ID is correct, and ensure that the VPC has an EFS mount target for this file "
    "system ID. See https://docs.aws.amazon.com/console/efs/mount-dns-name for more detail."
)


class Refused(Exception):
    """A mount that AWS's mount helper would fail at; ``code`` is what it would exit with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Mount(NamedTuple):
    """What is mounted: a file system, through an access point where one is named."""

    file_system: FileSystem
    access_point: AccessPoint | None


def decide(reader: Reader, interface: NetworkInterface, file_system_id: str, access_point_id: str = "") -> Mount:
    """What an interface's owner mounts. Raises Refused.

    A mount target must be in its VPC and zone, whose name its VPC's name server knows, and both's security groups must
    let NFS through, as they are now.
    """
    system = reader.get(model.FILE_SYSTEMS, file_system_id)
    visible = system is not None and (system.account, system.region) == (interface.account, interface.region)
    if system is None or not visible or system.state != "available":
        raise _unresolved(interface, file_system_id)
    vpc = ec2.vpc(reader, interface.account, interface.region, interface.vpc_id)
    zone = interface.availability_zone
    targets = model.mount_targets(reader, file_system_id)
    here = [each for each in targets if (each.vpc_id, each.availability_zone) == (interface.vpc_id, zone)]
    if not here or vpc is None or not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        raise _unresolved(interface, file_system_id)
    if not ec2.reaches(reader, interface.id, here[0].interface_id, "tcp", NFS):
        raise Refused("b'mount.nfs4: Connection timed out'", 32)
    point = reader.get(model.ACCESS_POINTS, access_point_id) if access_point_id else None
    if access_point_id and (point is None or point.file_system_id != file_system_id):
        raise Refused("b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'", 32)
    return Mount(system, point)


def _unresolved(interface: NetworkInterface, file_system_id: str) -> Refused:
    name = names.of_file_system(file_system_id, interface.region)
    return Refused(f'Failed to resolve "{name}"{_LOOK_UP}', 1)
