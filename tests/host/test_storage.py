"""Volumes, snapshots and file systems, with real loop devices in real instances."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dryport.control.config import Config
from dryport.host import blocks
from dryport.host.client import HostClient, HostError
from dryport.host.messages import Disk, Instance, Interface, Port, Vpc
from tests.host.conftest import Daemon

pytestmark = pytest.mark.platform
VPC = "vpc-0a1"
FIRST, SECOND = "i-0000000000000000a", "i-0000000000000000b"
VOLUME, OTHER = "vol-0000000000000000a", "vol-0000000000000000b"
SNAPSHOT = "snap-0000000000000000a"
DISK = Disk(volume_id=VOLUME, device="/dev/sdf")
FILE_SYSTEM = "fs-0000000000000000a"


class Host:
    """A running instance, and commands in it."""

    def __init__(self, client: HostClient, config: Config, instance_id: str) -> None:
        self.client, self.id = client, instance_id
        self.instance = description(config, instance_id)
        self._pid = 0

    async def boot(self, *disks: Disk, number: int = 1) -> None:
        await self.client.plug(port(self.instance))
        changed = {"boot": number, "disks": list(disks)}
        members = {name: getattr(self.instance, name) for name in self.instance.__struct_fields__}
        await self.client.ensure_volume(self.instance.root, 8, system=True)
        await self.client.ensure_instance(Instance(**{**members, **changed}))
        await self.find()

    async def find(self, unlike: int = 0) -> int:
        """Wait until it is ready, in another run than that of process ``unlike``."""
        while True:
            state = (await self.client.instances()).get(self.id)
            if state is not None and state.ready and state.pid != unlike:
                self._pid = state.pid
                return state.pid
            await asyncio.sleep(0.01)

    async def run(self, command: str) -> str:
        """What a shell in the instance, bound by its cgroups, prints. Raises AssertionError where it fails."""
        script = f"echo 0 > /sys/fs/cgroup/devices/cgroup.procs; {command}"
        enter = ["nsenter", "-t", str(self._pid), "-m", "-p", "-i", "-u", "-C", "--", "sh", "-ec", script]
        done = await asyncio.to_thread(subprocess.run, enter, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return str(done.stdout).strip()


def description(config: Config, instance_id: str) -> Instance:
    number = int(instance_id[-1], 16)
    return Instance(
        id=instance_id,
        boot=1,
        vpc_id=VPC,
        namespace=f"dp{config.id}-{instance_id}",
        interface=Interface(
            mac=f"02:aa:00:00:00:{number:02x}",
            address_cidr=f"10.7.0.{number}/20",
            gateway="10.7.0.1",
            resolver="10.7.0.2",
            domain="ec2.internal",
        ),
        base="plain",
        root=f"vol-f{instance_id[3:]}",
        hostname=f"host-{number}",
        vcpus=1,
        memory=256,
    )


def port(instance: Instance) -> Port:
    interface = instance.interface
    return Port(
        vpc_id=VPC,
        interface_id=f"eni-{instance.id[2:]}",
        mac=interface.mac,
        address=interface.address_cidr.partition("/")[0],
        namespace=instance.namespace,
    )


@pytest.fixture
async def start(client: HostClient, daemon: Daemon) -> AsyncIterator[Callable[[str], Host]]:
    """Makes instances, which end with the test; so do the volumes and file systems."""
    network: dict[str, Any] = {
        "cidr": "10.7.0.0/16",
        "subnets": ["10.7.0.0/20"],
        "resolver": "10.7.0.2",
        "domain": "ec2.internal",
    }
    await client.ensure_vpc(Vpc(id=VPC, dns=True, **network))
    yield lambda instance_id: Host(client, daemon.config, instance_id)
    for instance_id in (FIRST, SECOND):
        await client.delete_instance(instance_id)
        await client.delete_volume(f"vol-f{instance_id[3:]}")
    for volume_id in (VOLUME, OTHER):
        await client.delete_volume(volume_id)
    await client.delete_snapshot(SNAPSHOT)
    await client.delete_file_system(FILE_SYSTEM)


@pytest.fixture
async def host(start: Callable[[str], Host]) -> Host:
    made = start(FIRST)
    await made.boot()
    return made


def loops(daemon: Daemon) -> str:
    """The loop devices that hold volumes beside the root volumes."""
    listed = subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout
    return "\n".join(line for line in listed.splitlines() if f"{daemon.config.state_dir}/volumes/vol-0" in line)


async def test_a_volume_is_a_device_of_its_instance(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await client.attach_disk(FIRST, DISK)
    assert await host.run("readlink /dev/sdf; blockdev --getsize64 /dev/xvdf") == f"xvdf\n{1 << 30}"
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt; echo kept > /mnt/file")
    with pytest.raises(HostError, match="mounted"):
        await client.detach_disk(FIRST, DISK)
    assert await host.run("cat /mnt/file; test -b /dev/xvdf") == "kept"

    number = await host.run("umount /mnt; stat -c '%Hr %Lr' /dev/xvdf")
    await client.detach_disk(FIRST, DISK)
    await client.detach_disk(FIRST, DISK)
    assert "df" not in await host.run("ls /dev") and loops(daemon) == ""
    refused = await host.run(f"mknod /tmp/node b {number}; dd if=/tmp/node of=/dev/null count=1 2>&1 || true")
    assert "not permitted" in refused

    await client.attach_disk(FIRST, Disk(volume_id=VOLUME, device="/dev/xvdba"))
    assert await host.run("mount /dev/xvdba /mnt; cat /mnt/file; umount /mnt") == "kept"


async def test_what_cannot_be_attached(host: Host, client: HostClient, daemon: Daemon) -> None:
    with pytest.raises(HostError, match="not on this machine"):
        await client.attach_disk(FIRST, DISK)
    await client.ensure_volume(VOLUME, 1)
    with pytest.raises(HostError, match="does not run"):
        await client.attach_disk(SECOND, DISK)
    with pytest.raises(HostError, match="no name"):
        await client.attach_disk(FIRST, Disk(volume_id=VOLUME, device="/dev/../etc/passwd"))
    with pytest.raises(HostError, match="not the name"):
        await client.ensure_volume("../vol-00000000", 1)
    await client.attach_disk(FIRST, DISK)
    await client.ensure_volume(OTHER, 1)
    with pytest.raises(HostError, match="another volume"):
        await client.attach_disk(FIRST, Disk(volume_id=OTHER, device="/dev/xvdf"))


async def test_a_snapshot_of_a_file_system_in_use_is_whole(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt")
    writing = "i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); mkdir /mnt/$i; echo $i > /mnt/$i/$i; done; echo $i"
    writer = asyncio.create_task(host.run(writing))
    await host.run("until [ -e /mnt/50/50 ]; do sleep 0.01; done")
    await client.save_snapshot(VOLUME, SNAPSHOT)
    await host.run("n=$(ls /mnt | wc -l); until [ $(ls /mnt | wc -l) -gt $n ]; do sleep 0.01; done; touch /tmp/stop")
    await writer
    saved = daemon.config.state_dir / "snapshots" / SNAPSHOT
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", str(saved)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout

    with pytest.raises(HostError, match="less than"):
        await client.ensure_volume(OTHER, 0, SNAPSHOT)
    await client.ensure_volume(OTHER, 2, SNAPSHOT)
    await client.delete_snapshot(SNAPSHOT)
    await client.attach_disk(FIRST, Disk(volume_id=OTHER, device="/dev/sdg"))
    await host.run("umount /mnt; mount /dev/sdg /mnt; test -e /mnt/49/49; umount /mnt; e2fsck -fp /dev/sdg >/dev/null")
    await host.run("resize2fs /dev/sdg; mount /dev/sdg /mnt; [ $(df --output=size -k /mnt | tail -1) -gt 1500000 ]")
    await host.run("umount /mnt")


async def test_a_snapshot_waits_for_a_file_system_that_is_being_unmounted(host: Host, client: HostClient) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf")
    # It goes with its namespace, which nobody sees any more while its 300 MB are written out.
    writing = "mount /dev/sdf /mnt; head -c 300M /dev/zero > /mnt/big; echo data > /mnt/file; touch /tmp/written"
    writer = asyncio.create_task(host.run(f"unshare -m sh -ec '{writing}'"))
    await host.run("until [ -e /tmp/written ]; do :; done")
    await client.save_snapshot(VOLUME, SNAPSHOT)
    await writer
    await client.ensure_volume(OTHER, 1, SNAPSHOT)
    await client.attach_disk(FIRST, Disk(volume_id=OTHER, device="/dev/sdg"))
    assert await host.run("mount /dev/sdg /mnt; cat /mnt/file; stat -c %s /mnt/big; umount /mnt") == "data\n314572800"


async def test_a_volume_grows_where_it_is_attached_and_never_shrinks(host: Host, client: HostClient) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await client.ensure_volume(VOLUME, 3)
    assert await host.run("blockdev --getsize64 /dev/xvdf") == str(3 << 30)
    with pytest.raises(HostError, match="shrink"):
        await client.ensure_volume(VOLUME, 2)
    with pytest.raises(HostError, match="not on this machine"):
        await client.ensure_volume(OTHER, 2, SNAPSHOT)


async def test_by_force_nothing_more_reaches_the_volume(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt; echo kept > /mnt/file; sync")
    writer = asyncio.create_task(host.run("exec 5> /mnt/open; touch /tmp/open; while echo x >&5; do :; done; true"))
    await host.run("until [ -e /tmp/open ]; do sleep 0.01; done")
    await client.detach_disk(FIRST, DISK, force=True)
    await writer
    assert await host.run("ls /mnt; ls /dev | grep df || true") == ""
    await client.attach_disk(FIRST, DISK)
    assert await host.run("mount /dev/sdf /mnt; cat /mnt/file; umount /mnt") == "kept"


async def test_volumes_are_there_again_after_a_reboot(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt; echo kept > /mnt/file")
    before = await host.find()
    os.kill(before, 2)  # as the command ``reboot`` has its init do
    await host.find(unlike=before)
    assert await host.run("mount /dev/sdf /mnt; cat /mnt/file") == "kept"

    await client.stop_instance(FIRST)
    assert loops(daemon) == ""
    await client.detach_disk(FIRST, DISK)
    await host.boot(Disk(volume_id=VOLUME, device="/dev/xvdk"), number=2)
    assert await host.run("mount /dev/xvdk /mnt; cat /mnt/file; ls /dev | grep df || true") == "kept"


async def test_a_killed_driver_is_followed_by_one_that_knows(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt; fsfreeze -f /mnt")
    daemon.kill()
    snapshots, volumes = (daemon.config.state_dir / name for name in ("snapshots", "volumes"))
    snapshots.mkdir(exist_ok=True)
    unfinished = [snapshots / f"{SNAPSHOT}.{VOLUME}.new", volumes / f"{OTHER}.new", volumes / "vol-00000000.gone"]
    for each in unfinished:
        each.touch()
    daemon.start()
    assert not any(each.exists() for each in unfinished)
    await host.run("echo goes on > /mnt/file; umount /mnt")
    assert len(loops(daemon).splitlines()) == 1
    await client.detach_disk(FIRST, DISK)
    assert loops(daemon) == ""


async def test_a_file_system_is_in_several_instances_at_once(
    start: Callable[[str], Host], client: HostClient, daemon: Daemon
) -> None:
    hosts = [start(FIRST), start(SECOND)]
    await client.ensure_file_system(FILE_SYSTEM)
    with pytest.raises(HostError, match="does not run"):
        await client.mount_file_system(FIRST, FILE_SYSTEM)
    for host in hosts:
        await host.boot()
        await client.mount_file_system(host.id, FILE_SYSTEM)
        await client.mount_file_system(host.id, FILE_SYSTEM)
    place = f"/run/dryport/filesystems/{FILE_SYSTEM}"
    assert await hosts[0].run("stat -c '%U:%G %a' " + place) == "root:root 755"
    await hosts[0].run(f"echo from the first > {place}/file")
    assert await hosts[1].run(f"cat {place}/file; rm {place}/file; echo 2 > {place}/file") == "from the first"
    daemon.kill()
    daemon.start()
    assert await hosts[0].run(f"cat {place}/file") == "2"
    await client.unmount_file_system(FIRST, FILE_SYSTEM)
    assert await hosts[0].run("ls /run/dryport/filesystems") == ""
    await client.delete_instance(SECOND)
    assert (daemon.config.state_dir / "filesystems" / FILE_SYSTEM / "file").read_text() == "2\n"

    await client.mount_file_system(FIRST, FILE_SYSTEM)
    await client.delete_file_system(FILE_SYSTEM)
    assert await hosts[0].run("ls /run/dryport/filesystems") == ""
    assert list((daemon.config.state_dir / "filesystems").iterdir()) == []


async def test_the_size_of_a_file_system(client: HostClient, daemon: Daemon) -> None:
    await client.ensure_file_system(FILE_SYSTEM)
    directory = daemon.config.state_dir / "filesystems" / FILE_SYSTEM
    (directory / "sub").mkdir()
    (directory / "sub/file").write_bytes(b"x" * 1_000_000)
    os.link(directory / "sub/file", directory / "again")
    with (directory / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    assert 1_000_000 <= await client.measure_file_system(FILE_SYSTEM) < 1_100_000
    await client.delete_file_system(FILE_SYSTEM)


async def test_nothing_is_left_when_dryport_ends(host: Host, client: HostClient, daemon: Daemon) -> None:
    await client.ensure_volume(VOLUME, 1)
    await client.attach_disk(FIRST, DISK)
    await host.run("mkfs.ext4 -q /dev/sdf; mount /dev/sdf /mnt")
    await client.ensure_file_system(FILE_SYSTEM)
    await client.mount_file_system(FIRST, FILE_SYSTEM)
    await client.teardown()
    assert loops(daemon) == ""
    assert str(daemon.config.state_dir) not in Path("/proc/self/mountinfo").read_text()
    assert (daemon.config.state_dir / "filesystems" / FILE_SYSTEM).is_dir()


def test_a_copy_keeps_what_is_written_and_the_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(1 << 30)
        for place in (0, 5 << 20, (1 << 30) - 4096):
            file.seek(place)
            file.write(b"y" * 4096)
    blocks.copy(source, target, 1 << 30)
    assert target.stat().st_size == 1 << 30 and target.stat().st_blocks < 1000
    with target.open("rb") as file:
        file.seek(5 << 20)
        assert file.read(4097) == b"y" * 4096 + b"\0"
    shutil.rmtree(tmp_path)


async def test_a_volume_is_mounted_for_tasks_of_the_machine(client: HostClient, daemon: Daemon) -> None:
    place = daemon.config.state_dir / "mounts" / VOLUME
    await client.ensure_volume(VOLUME, 1)
    await client.mount_volume(VOLUME, "ext4", make=True)
    (place / "file").write_text("kept")
    daemon.kill()
    await client.lost.wait()
    daemon.start()
    await client.mount_volume(VOLUME, "ext4", make=True)
    assert (place / "file").read_text() == "kept"
    held = (place / "file").open()
    with pytest.raises(HostError, match="InUse"):
        await client.unmount_volume(VOLUME)
    assert not place.exists()
    held.close()
    await client.unmount_volume(VOLUME)
    assert loops(daemon) == ""
    with pytest.raises(HostError, match="OSError"):
        await client.mount_volume(VOLUME, "xfs")
    with pytest.raises(HostError, match="no file system of volumes"):
        await client.mount_volume(VOLUME, "../ext4")
    await client.mount_volume(VOLUME, "ext4")
    assert (place / "file").read_text() == "kept"
    await client.teardown()
    assert loops(daemon) == "" and list(place.parent.iterdir()) == []
    await client.delete_volume(VOLUME)
