"""The host driver's client: asynchronous, many requests at once, connects again by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dryport.host import messages
from dryport.host.messages import (
    Answer,
    Balancers,
    Carrier,
    Console,
    Disk,
    FileSystemSize,
    Instance,
    Instances,
    InstanceState,
    Metadata,
    Names,
    Networks,
    Port,
    PrivateZone,
    Replies,
    Request,
    Result,
    Ruleset,
    Verb,
    Vpc,
)

_LONGEST_LINE = 64 << 20  # bytes


class HostError(Exception):
    """The host driver could not do what it was asked, or is away."""


class HostUnavailable(HostError):
    """The host driver is away, or went away before it answered: it may have done what it was asked, or not."""


class HostClient:
    """A ``NetworkDriver`` and a ``StorageDriver`` (see ``ec2.drivers``) over the daemon's socket.

    ``epoch`` grows with each new connection: a caller that sees it change tells again what there should be. Every
    verb raises HostError.
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Answer)
        self.epoch = 0
        self.lost = asyncio.Event()  # set while there is no connection
        self.lost.set()

    async def ensure_vpc(self, vpc: Vpc) -> None:
        """Make a VPC's namespace, or change it to what it should be."""
        await self._ask(messages.EnsureVpc(vpc=vpc))

    async def delete_vpc(self, vpc_id: str) -> None:
        """Remove a VPC with everything plugged into it."""
        await self._ask(messages.DeleteVpc(vpc_id=vpc_id))

    async def plug(self, port: Port) -> None:
        """Plug an interface into its VPC, which must have been ensured."""
        await self._ask(messages.Plug(port=port))

    async def unplug(self, vpc_id: str, interface_id: str) -> None:
        """Remove an interface, wherever its near end is."""
        await self._ask(messages.Unplug(vpc_id=vpc_id, interface_id=interface_id))

    async def set_firewall(self, vpc_id: str, ruleset: Ruleset) -> None:
        """Put all of a VPC's packet rules in force at once."""
        await self._ask(messages.SetFirewall(vpc_id=vpc_id, ruleset=ruleset))

    async def set_names(self, vpc_id: str, names: Names) -> None:
        """Have a VPC's name server know exactly these names beside those of its interfaces."""
        await self._ask(messages.SetNames(vpc_id=vpc_id, names=names))

    async def set_zone(self, vpc_id: str, zone_id: str, zone: PrivateZone | None) -> None:
        """Have a VPC's name server answer a zone, with nothing else in it; ``None``: no more."""
        await self._ask(messages.SetZone(vpc_id=vpc_id, zone_id=zone_id, zone=zone))

    async def list(self) -> Networks:
        """What is really there."""
        result = await self._ask(messages.ListNetworks())
        return result if isinstance(result, Networks) else Networks()

    async def ensure_instance(self, instance: Instance) -> None:
        """Have an instance run; done once its init does."""
        await self._ask(messages.EnsureInstance(instance=instance))

    async def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        """Shut an instance down."""
        await self._ask(messages.StopInstance(instance_id=instance_id, force=force))

    async def delete_instance(self, instance_id: str) -> None:
        """Remove an instance; its volumes stay."""
        await self._ask(messages.DeleteInstance(instance_id=instance_id))

    async def instances(self) -> dict[str, InstanceState]:
        """The instances that are really there, by id."""
        return _instances(await self._ask(messages.ListInstances()))

    async def await_end(self, running: Sequence[str]) -> dict[str, InstanceState]:
        """The instances, once one of those named no longer runs."""
        return _instances(await self._ask(messages.AwaitEnd(running=[*running])))

    async def console(self, instance_id: str) -> Console:
        """The last of an instance's console."""
        result = await self._ask(messages.ReadConsole(instance_id=instance_id))
        return result if isinstance(result, Console) else Console(output=b"", at=0.0)

    async def set_metadata(self, vpc_id: str, instances: dict[str, Metadata]) -> None:
        """Have a VPC's metadata service know exactly these instances."""
        await self._ask(messages.SetMetadata(vpc_id=vpc_id, instances=instances))

    async def ensure_volume(self, volume_id: str, gib: int, snapshot_id: str = "", *, system: bool = False) -> None:
        """Have a volume of so many GiB, of a snapshot or with this machine's system; one that is there grows."""
        verb = messages.EnsureVolume(volume_id=volume_id, gib=gib, snapshot_id=snapshot_id, system=system)
        await self._ask(verb)

    async def delete_volume(self, volume_id: str) -> None:
        """Remove a volume that nothing uses."""
        await self._ask(messages.DeleteVolume(volume_id=volume_id))

    async def save_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Copy a volume as it is now."""
        await self._ask(messages.SaveSnapshot(volume_id=volume_id, snapshot_id=snapshot_id))

    async def copy_snapshot(self, source_id: str, snapshot_id: str) -> None:
        """Have another snapshot that holds the same."""
        await self._ask(messages.CopySnapshot(source_id=source_id, snapshot_id=snapshot_id))

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot; volumes that were made of it stay."""
        await self._ask(messages.DeleteSnapshot(snapshot_id=snapshot_id))

    async def attach_disk(self, instance_id: str, disk: Disk) -> None:
        """Make a volume a block device of a running instance, now and whenever it boots again by itself."""
        await self._ask(messages.AttachDisk(instance_id=instance_id, disk=disk))

    async def detach_disk(self, instance_id: str, disk: Disk, *, force: bool = False) -> None:
        """Take a volume from an instance, running or not; refused while it is in use unless ``force``."""
        await self._ask(messages.DetachDisk(instance_id=instance_id, disk=disk, force=force))

    async def mount_volume(self, volume_id: str, file_system: str, *, make: bool = False) -> None:
        """Have what is on a volume appear on this machine, formatted first where ``make``."""
        await self._ask(messages.MountVolume(volume_id=volume_id, file_system=file_system, make=make))

    async def unmount_volume(self, volume_id: str) -> None:
        """Have it appear there no more; refused while a container still has it."""
        await self._ask(messages.UnmountVolume(volume_id=volume_id))

    async def ensure_file_system(self, file_system_id: str) -> None:
        """Have a file system on this machine."""
        await self._ask(messages.EnsureFileSystem(file_system_id=file_system_id))

    async def delete_file_system(self, file_system_id: str) -> None:
        """Remove a file system with all that is in it, from the instances that have it too."""
        await self._ask(messages.DeleteFileSystem(file_system_id=file_system_id))

    async def mount_file_system(self, instance_id: str, file_system_id: str) -> None:
        """Have a file system appear in a running instance."""
        await self._ask(messages.MountFileSystem(instance_id=instance_id, file_system_id=file_system_id))

    async def unmount_file_system(self, instance_id: str, file_system_id: str) -> None:
        """Have it appear there no more."""
        await self._ask(messages.UnmountFileSystem(instance_id=instance_id, file_system_id=file_system_id))

    async def measure_file_system(self, file_system_id: str) -> int:
        """How many bytes a file system holds, as of some minutes ago at most."""
        result = await self._ask(messages.MeasureFileSystem(file_system_id=file_system_id))
        return result.bytes if isinstance(result, FileSystemSize) else 0

    async def ensure_balancer(self, carrier: Carrier) -> None:
        """Have a balancer run so, without losing a connection; otherwise it stays as it was."""
        await self._ask(messages.EnsureBalancer(carrier=carrier))

    async def delete_balancer(self, balancer_id: str) -> None:
        """End a balancer, with its network namespace."""
        await self._ask(messages.DeleteBalancer(balancer_id=balancer_id))

    async def balancers(self) -> Sequence[str]:
        """The ids of the balancers that there are."""
        result = await self._ask(messages.ListBalancers())
        return result.ids if isinstance(result, Balancers) else []

    async def ask_balancer(self, balancer_id: str, commands: Sequence[str]) -> Sequence[str]:
        """What a balancer answers to commands of HAProxy's runtime API."""
        result = await self._ask(messages.AskBalancer(balancer_id=balancer_id, commands=[*commands]))
        return result.replies if isinstance(result, Replies) else []

    async def take_log(self, balancer_id: str, after: int, least: int) -> tuple[bytes, int]:
        """What a balancer noted of requests behind a place, where that is as much as ``least``, and where it ends."""
        result = await self._ask(messages.TakeLog(balancer_id=balancer_id, after=after, least=least))
        return (result.content, result.end) if isinstance(result, messages.LogPart) else (b"", after)

    async def end_flows(self, balancer_id: str, targets: Sequence[tuple[str, int]]) -> None:
        """End the flows of UDP that a balancer has to targets."""
        await self._ask(messages.EndFlows(balancer_id=balancer_id, targets=[*targets]))

    async def teardown(self) -> None:
        """Remove everything of this Dryport from the machine."""
        await self._ask(messages.Teardown())

    async def connect(self) -> None:
        """Connect where there is no connection. Raises HostUnavailable."""
        async with self._connecting:
            if self._writer is not None:
                return
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST_LINE)
            except OSError as error:
                raise HostUnavailable(f"the host driver does not answer at {self._path}: {error}") from error
            self.epoch += 1
            self.lost.clear()
            self._reading = asyncio.create_task(self._read(reader))

    async def _ask(self, verb: Verb) -> Result | None:
        await self.connect()
        number = next(self._numbers)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            if self._writer is None:
                raise HostUnavailable("the host driver went away")
            self._writer.write(self._encoder.encode(Request(id=number, verb=verb)) + b"\n")
            answer = await waiting
        finally:
            self._waiting.pop(number, None)
        if answer.error:
            raise HostError(answer.error)
        return answer.result

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    answer = self._decoder.decode(line)
                    waiting = self._waiting.get(answer.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
        finally:
            self._disconnected()

    def _disconnected(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.lost.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(HostUnavailable("the host driver went away"))

    async def close(self) -> None:
        """Let go of the connection."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            self._reading = None


def _instances(result: Result | None) -> dict[str, InstanceState]:
    return result.instances if isinstance(result, Instances) else {}
