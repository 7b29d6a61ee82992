"""What the controllers ask of the machine: ``host.client.HostClient``, or something else in a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from dryport.host.messages import (
    Console,
    Disk,
    Instance,
    InstanceState,
    Metadata,
    Names,
    Networks,
    Port,
    Ruleset,
    Vpc,
)


class NetworkDriver(Protocol):
    """Makes networks real. Every verb is idempotent and raises ``host.client.HostError``.

    ``epoch`` grows whenever the other side may have forgotten what it was told; ``lost`` is set while it is away.
    """

    epoch: int
    lost: asyncio.Event

    async def connect(self) -> None:
        """Reach the other side. Raises HostUnavailable."""
        ...

    async def ensure_vpc(self, vpc: Vpc) -> None:
        """Make a VPC's network, or change it to what it should be."""
        ...

    async def delete_vpc(self, vpc_id: str) -> None:
        """Remove a VPC's network with everything plugged into it."""
        ...

    async def plug(self, port: Port) -> None:
        """Plug an interface into its VPC, which must have been ensured."""
        ...

    async def unplug(self, vpc_id: str, interface_id: str) -> None:
        """Remove an interface, wherever its near end is."""
        ...

    async def set_firewall(self, vpc_id: str, ruleset: Ruleset) -> None:
        """Put all of a VPC's packet rules in force at once."""
        ...

    async def set_names(self, vpc_id: str, names: Names) -> None:
        """Have a VPC's name server know exactly these names beside those of its interfaces."""
        ...

    async def list(self) -> Networks:
        """What is really there."""
        ...

    async def close(self) -> None:
        """Let go of the other side."""
        ...


class InstanceDriver(Protocol):
    """Makes instances real. Every verb is idempotent and raises ``host.client.HostError``.

    ``epoch`` and ``lost`` are as in ``NetworkDriver``.
    """

    epoch: int
    lost: asyncio.Event

    async def connect(self) -> None:
        """Reach the other side. Raises HostUnavailable."""
        ...

    async def ensure_instance(self, instance: Instance) -> None:
        """Have an instance run, booting it anew where its ``boot`` is a higher one; done once its init runs."""
        ...

    async def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        """Shut an instance down, by force at once or after a while; its network namespace goes."""
        ...

    async def delete_instance(self, instance_id: str) -> None:
        """Remove an instance with its network namespace; its volumes stay."""
        ...

    async def instances(self) -> dict[str, InstanceState]:
        """The instances that are really there, by id."""
        ...

    async def await_end(self, running: Sequence[str]) -> dict[str, InstanceState]:
        """The instances, once one of those named no longer runs."""
        ...

    async def console(self, instance_id: str) -> Console:
        """The last of an instance's console."""
        ...

    async def set_metadata(self, vpc_id: str, instances: dict[str, Metadata]) -> None:
        """Have a VPC's metadata service know exactly these instances."""
        ...


class StorageDriver(Protocol):
    """Makes volumes and their snapshots real. Every verb is idempotent and raises ``host.client.HostError``."""

    async def ensure_volume(self, volume_id: str, gib: int, snapshot_id: str = "", *, system: bool = False) -> None:
        """Have a volume of so many GiB; one that is there grows to that size.

        A new one is a copy of the snapshot that is named, or with ``system`` one to boot from, or else empty.
        """
        ...

    async def delete_volume(self, volume_id: str) -> None:
        """Remove a volume; refused while it is in use."""
        ...

    async def save_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Copy a volume as it is now; file systems on it are consistent. Done once the copy is durable."""
        ...

    async def copy_snapshot(self, source_id: str, snapshot_id: str) -> None:
        """Have a snapshot that holds what another one does, whatever becomes of that."""
        ...

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot; volumes that were made of it stay."""
        ...

    async def attach_disk(self, instance_id: str, disk: Disk) -> None:
        """Make a volume a block device of a running instance, now and whenever it boots again by itself.

        Refused where the instance does not run, or has another volume by that device name.
        """
        ...

    async def detach_disk(self, instance_id: str, disk: Disk, *, force: bool = False) -> None:
        """Take a volume from an instance, running or not; refused while it is in use.

        With ``force`` file systems on it are shut down: what was not yet written is lost.
        """
        ...

    async def mount_volume(self, volume_id: str, file_system: str, *, make: bool = False) -> None:
        """Have what is on a volume appear where tasks of Fargate have it from, formatted first where ``make``."""
        ...

    async def unmount_volume(self, volume_id: str) -> None:
        """Have it appear there no more; refused while a container still has it."""
        ...


class Driver(NetworkDriver, InstanceDriver, StorageDriver, Protocol):
    """A machine that networks, instances and volumes are made real on."""
