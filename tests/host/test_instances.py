"""Instances of the host driver as hosts: what they are, how they end, what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dryport.host import blocks, namespaces
from dryport.host.client import HostClient, HostError
from dryport.host.messages import Disk, Group, Metadata, Ruleset
from dryport.platform import leftovers
from tests.host.conftest import Daemon
from tests.host.machines import VPC, Machine, make_vpc

pytestmark = pytest.mark.platform
BUSYBOX = (
    "mkdir -p /tmp/box/bin; cp /bin/busybox /tmp/box/bin/; ln -sf busybox /tmp/box/bin/sh; "
    "tar -C /tmp/box -c . | docker import -c 'ENV PATH=/bin' - box >/dev/null; "
)


@pytest.fixture
async def make(client: HostClient, daemon: Daemon) -> AsyncIterator[Callable[..., Machine]]:
    """Describes instances, which end with the test."""
    await make_vpc(client)
    made: list[Machine] = []

    def describe(**members: Any) -> Machine:
        made.append(Machine(client, daemon.config, len(made) + 10, **members))
        return made[-1]

    yield describe
    for machine in made:
        await machine.delete()
        assert traces(daemon, machine) == ""


def traces(daemon: Daemon, machine: Machine) -> str:
    """What is left on the machine of an instance."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if machine.id in line]
    found += blocks.devices(daemon.config.state_dir / "volumes" / machine.instance.root)
    found += [name for name in namespaces.entries(f"dp{daemon.config.id}") if name.endswith(machine.id)]
    found += [str(each) for each in Path("/sys/fs/cgroup").glob(f"**/dryport/{daemon.config.id}/{machine.id}")]
    directory = daemon.config.state_dir / "instances" / machine.id
    return "\n".join(found + ([str(directory)] if directory.exists() else []))


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended may not have been reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_an_instance_is_a_host_of_its_own(make: Callable[..., Machine], daemon: Daemon) -> None:
    key = daemon.config.state_dir / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    machine = make(
        base="ecs",
        root_gib=30,
        vcpus=0.5,
        user_data=b"#!/bin/bash\necho told by user data\necho ECS_CLUSTER=blue >> /etc/ecs/ecs.config\n",
        authorized_keys=[key.with_suffix(".pub").read_text()],
        environment={"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://169.254.171.1:4566"},
    )
    await machine.boot()
    console = await machine.console()
    assert "told by user data" in console and "BEGIN SSH HOST KEY FINGERPRINTS" in console
    assert "finished at" in console and "dryport: ready" in console

    told = await machine.run(
        "hostname; cat /etc/ecs/ecs.config /var/log/cloud-init-output.log /etc/environment /etc/resolv.conf; "
        "df -BG --output=size / | tail -1; ip -br address show eth0; ip route; "
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us; ps -e -o comm="
    )
    for expected in (
        "ip-10-8-0-10.ec2.internal",
        "ECS_CLUSTER=blue",
        "told by user data",
        "AWS_REGION=eu-west-1",
        "nameserver 10.8.0.2",
        "30G",
        "10.8.0.10/20",
        "default via 10.8.0.1",
        str(512 << 20),
        "50000",
        "dockerd",
    ):
        assert expected in told, told
    assert "pytest" not in told

    listed = await machine.run(f"{BUSYBOX} docker run --rm box busybox cat /proc/self/cgroup; docker info")
    assert "memory:/docker/" in listed and "Storage Driver: overlay2" in listed
    privileged = "busybox ip link add br9 type bridge && busybox ls /dev && echo may"
    assert "may" in await machine.run(f'docker run --rm --privileged box sh -c "{privileged}"')
    over = await machine.run("docker run --rm -m 64m box busybox tail /dev/zero", check=False)
    assert "Killed" in over or over == ""

    secret = key.read_text()
    ssh = "ssh -i /tmp/key -o StrictHostKeyChecking=no -o BatchMode=yes"
    await machine.run(f"install -m 600 /dev/null /tmp/key; cat > /tmp/key <<'X'\n{secret}X\n")
    logged_in = await machine.run(f"{ssh} ec2-user@10.8.0.10 'id -un; echo $AWS_REGION'")
    assert logged_in.splitlines()[-2:] == ["ec2-user", "eu-west-1"]
    assert "ec2-user" in await machine.run(f"timeout 1 {ssh} root@10.8.0.10", check=False)


async def test_the_machines_own_is_out_of_reach(make: Callable[..., Machine], daemon: Daemon) -> None:
    machine = make()
    await machine.boot()
    assert await machine.run(f"ls {daemon.config.state_dir}", check=False) != ""
    assert "config.json" not in await machine.run(f"ls {daemon.config.state_dir}", check=False)
    assert await machine.run("ls /home; ls -A /root; cut -d: -f2 /etc/shadow | sort -u") in (
        "ec2-user\n.pyenv\n*",
        "ec2-user\n*",
    )
    disk = os.stat("/").st_dev
    number = f"{os.major(disk)} {os.minor(disk)}"
    for attempt in (
        f"mknod /tmp/disk b {number}",
        "mknod /tmp/loop c 10 237 && cat /tmp/loop",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "swapon /etc/hostname",
        "date -s @0",
        "dmesg",
        "test $(cat /sys/fs/cgroup/memory/memory.usage_in_bytes) -gt $((1 << 30))",
        "touch /run/dryport/instance/init.py",
    ):
        refused = await machine.run(f"{{ {attempt}; }} 2>&1 && echo done", check=False)
        assert not refused.endswith("done"), attempt
    # Its root may widen the inner limit: the outer one binds. One that takes too much is killed, the others go on.
    eat = "import mmap; m = mmap.mmap(-1, 1 << 30); [m.write(b'x' * 4096) for _ in range(1 << 18)]"
    await machine.run("echo -1 > /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", check=False)
    await machine.run("echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes", check=False)
    eaten = await machine.run(f'/run/dryport/python -I -S -c "{eat}"; echo $?', check=False)
    assert ("Killed" in eaten or "137" in eaten) and (await machine.state()).running


async def test_the_disk_is_as_large_as_asked(make: Callable[..., Machine]) -> None:
    machine = make(root_gib=1)
    await machine.boot()
    full = await machine.run("fallocate -l 2G /usr/filled 2>&1", check=False)
    assert "No space left on device" in full


async def test_user_data_is_executed_once_and_power_commands_do_what_they_say(
    make: Callable[..., Machine], client: HostClient
) -> None:
    machine = make(user_data=b"#!/bin/sh\necho once >> /var/count\n")
    first = await machine.boot()
    await machine.run("systemctl is-active sshd; echo kept > /etc/kept; shutdown -r now", check=False)
    again = await machine.ready(unlike=first.pid)
    assert again.boot == 1
    assert await machine.run("cat /etc/kept /var/count; ls /run/dryport/boot.json") == (
        "kept\nonce\n/run/dryport/boot.json"
    )
    ended = asyncio.create_task(client.await_end([machine.id]))
    await machine.run("poweroff", check=False)
    state = (await ended)[machine.id]
    assert (state.running, state.ended_by, state.pid) == (False, "shutdown", 0)
    with pytest.raises(HostError, match="not run"):
        await client.mount_file_system(machine.id, "fs-0000000000000000b")


async def test_an_instance_is_stopped_and_started(make: Callable[..., Machine], client: HostClient) -> None:
    machine = make()
    await machine.boot()
    await machine.run("trap '' TERM; echo kept > /root/kept; (trap '' TERM; sleep 300) >/dev/null 2>&1 &")
    await client.stop_instance(machine.id)
    await client.stop_instance(machine.id)
    state = await machine.state()
    assert (state.running, state.ended_by, state.boot) == (False, "shutdown", 1)
    assert not namespaces.exists(machine.instance.namespace)
    await machine.boot(2)
    assert await machine.run("cat /root/kept; ip -br address show eth0 | grep -c 10.8.0.10/20") == "kept\n1"
    await client.stop_instance(machine.id, force=True)
    assert (await machine.state()).ended_by == "killed"


async def test_a_host_that_is_killed_takes_its_processes_with_it(
    make: Callable[..., Machine], client: HostClient
) -> None:
    machine = make()
    state = await machine.boot()
    await machine.run("nohup sleep 4321 >/dev/null 2>&1 &")
    ended = asyncio.create_task(client.await_end([machine.id]))
    os.kill(state.pid, signal.SIGKILL)
    assert (await ended)[machine.id].ended_by == "killed"
    assert subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True).stdout == b""


async def test_instances_outlive_the_driver(make: Callable[..., Machine], daemon: Daemon, client: HostClient) -> None:
    stays, goes, returns = make(), make(), make()
    for machine in (stays, goes, returns):
        await machine.boot()
    before = {machine.id: (await machine.state()).pid for machine in (stays, goes, returns)}
    daemon.kill()
    await client.lost.wait()
    os.kill(before[goes.id], signal.SIGKILL)
    os.kill(before[returns.id], signal.SIGINT)  # as ``reboot`` does
    daemon.start()
    try:
        assert (await stays.state()).pid == before[stays.id]
        assert (await goes.state()).ended_by == "killed"
        await returns.ready(unlike=before[returns.id])
        ended = asyncio.create_task(client.await_end([stays.id, returns.id]))
        os.kill(before[stays.id], signal.SIGKILL)
        assert not (await ended)[stays.id].running
    finally:
        await make_vpc(client)


async def test_the_end_of_a_dryport_leaves_nothing_but_disks(
    make: Callable[..., Machine], daemon: Daemon, client: HostClient
) -> None:
    machine = make()
    state = await machine.boot()
    daemon.kill()
    await client.lost.wait()
    await asyncio.to_thread(leftovers.clear, daemon.config)
    assert not lives(state.pid)
    assert traces(daemon, machine) == str(daemon.config.state_dir / "instances" / machine.id)
    assert (daemon.config.state_dir / "volumes" / machine.instance.root).exists()
    daemon.start()
    await make_vpc(client)
    assert (await machine.state()).boot == 0
    assert (await machine.boot()).boot == 1


async def test_a_root_volume_is_made_of_a_snapshot(make: Callable[..., Machine], client: HostClient) -> None:
    snapshot = "snap-0000000000000000a"
    source = make(user_data=b"#!/bin/sh\necho made > /opt/made\n")
    await source.boot()
    key = await source.run("cat /etc/ssh/ssh_host_ed25519_key.pub; echo x > /usr/local/bin/tool; touch /tmp/scrap")
    await client.save_snapshot(source.instance.root, snapshot)
    copy = make(snapshot=snapshot, root_gib=9, user_data=b"#!/bin/sh\necho copied > /opt/copied\n")
    await copy.boot()
    seen = await copy.run(
        "cat /opt/made /opt/copied /usr/local/bin/tool; find /tmp -name scrap; df -BG --output=size / | tail -1"
    )
    assert seen.split() == ["made", "copied", "x", "9G"]
    assert await copy.run("cat /etc/ssh/ssh_host_ed25519_key.pub") != key
    await client.delete_snapshot(snapshot)
    await client.stop_instance(copy.id)
    copy.root_gib = 10
    await copy.boot(2)
    assert await copy.run("df -BG --output=size / | tail -1; cat /opt/made") == "10G\nmade"


async def test_a_root_volume_is_another_hosts_data_and_back(make: Callable[..., Machine], client: HostClient) -> None:
    first, second = make(), make()
    await first.boot()
    await second.boot()
    disk = Disk(volume_id=first.instance.root, device="/dev/sdf")
    with pytest.raises(HostError, match="InUse"):
        await client.detach_disk(first.id, disk)
    await client.stop_instance(first.id)
    await client.detach_disk(first.id, disk)
    await client.attach_disk(second.id, disk)
    await second.run("mount /dev/sdf /mnt; echo repaired > /mnt/root/opt/file; umount /mnt")
    await client.delete_instance(first.id)
    assert await second.run("mount /dev/sdf /mnt; cat /mnt/root/opt/file; umount /mnt") == "repaired"
    await client.detach_disk(second.id, disk)
    await first.boot(2)
    assert await first.run("cat /opt/file") == "repaired"


@pytest.mark.parametrize("place", ["root", "root/proc", "root/usr", "layers/usr/upper"])
async def test_no_link_on_a_root_volume_leads_out(make: Callable[..., Machine], client: HostClient, place: str) -> None:
    machine, other = make(), make()
    await client.ensure_volume(machine.instance.root, 8, system=True)
    await other.boot()
    disk = Disk(volume_id=machine.instance.root, device="/dev/sdf")
    await client.attach_disk(other.id, disk)
    await other.run(f"mount /dev/sdf /mnt; rm -rf /mnt/{place}; ln -s / /mnt/{place}; umount /mnt")
    await client.detach_disk(other.id, disk)
    with pytest.raises(HostError, match=f"/{place.removeprefix('root/')} on the root volume is no directory"):
        await machine.boot()
    await client.attach_disk(other.id, disk)
    await other.run("mkfs.xfs -q -f /dev/sdf 2>/dev/null || dd if=/dev/zero of=/dev/sdf bs=1M count=1 2>/dev/null")
    await client.detach_disk(other.id, disk)
    with pytest.raises(HostError, match="no ext4 file system"):
        await machine.boot()


async def test_metadata_is_for_instances_alone(make: Callable[..., Machine], client: HostClient) -> None:
    machine, other = make(base="ecs"), make()
    await machine.boot()
    await other.boot()
    tree = {"meta-data/instance-id": machine.id}
    known = Metadata(address=machine.address, tree=tree, hop_limit=1, user_data=b"told")
    await client.set_metadata(VPC, {machine.id: known})
    get = "wget -q -O - -T 5 -t 1"
    assert await machine.run(f"{get} http://169.254.169.254/latest/meta-data/instance-id") == machine.id
    put = "--method=PUT --header=X-aws-ec2-metadata-token-ttl-seconds:60 http://169.254.169.254/latest/api/token"
    token = await machine.run(f"{get} {put}")
    headed = f"{get} --header=X-aws-ec2-metadata-token:{token} http://instance-data.ec2.internal/latest/user-data"
    assert await machine.run(headed) == "told"

    # Two hops: what a container behind Docker's bridge asks for arrives, the answer with a token does not.
    ask = "printf 'PUT /latest/api/token HTTP/1.1\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60\\r\\n\\r\\n'"
    inside = f'{BUSYBOX} docker run --rm box sh -c "{ask} | busybox timeout 1 busybox nc 169.254.169.254 80"'
    assert "200" not in await machine.run(inside, check=False)
    in_container = "docker run --rm box busybox wget -q -O - http://169.254.169.254/latest/meta-data/instance-id"
    assert await machine.run(in_container) == machine.id
    rules = Ruleset(groups={"sg-1": Group()}, members={machine.address: ["sg-1"], other.address: ["sg-1"]})
    await client.set_firewall(VPC, rules)
    required = Metadata(address=machine.address, tree=tree, hop_limit=2, tokens_required=True)
    await client.set_metadata(VPC, {machine.id: required})
    assert "200 OK" in await machine.run(inside, check=False)
    assert "401" in await machine.run(f"{get} -S http://169.254.169.254/latest/meta-data/instance-id", check=False)
    refused = await other.run(
        "wget -q -O - -T 1 -t 1 http://169.254.169.254/latest/meta-data/instance-id || echo no", check=False
    )
    assert refused == "no"


async def test_the_console_is_bounded(make: Callable[..., Machine], daemon: Daemon) -> None:
    machine = make()
    await machine.boot()
    await machine.run("seq 1 200000 > /dev/console; echo the end > /dev/console")
    console = ""
    while "the end" not in console:
        console = await machine.console()
    assert "199999\n200000\n" in console and len(console) <= 64 << 10
    file = daemon.config.state_dir / "instances" / machine.id / "console.log"
    assert file.stat().st_size <= 512 << 10


async def test_a_boot_that_cannot_be_is_refused(make: Callable[..., Machine], client: HostClient) -> None:
    with pytest.raises(HostError, match="GPUs"):
        await make(gpus=1).boot()
    machine = make()
    with pytest.raises(HostError):
        await client.ensure_instance(machine.instance)  # nothing is plugged in
    with pytest.raises(HostError, match="no instance id"):
        await client.delete_instance("../etc")
