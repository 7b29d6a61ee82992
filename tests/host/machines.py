"""Instances for tests of the host driver: booted, waited for, looked into."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from msgspec.structs import replace

from dryport.control.config import Config
from dryport.host.client import HostClient
from dryport.host.instances import groups
from dryport.host.messages import Instance, InstanceState, Interface, Port, Vpc

VPC = "vpc-0a2"
_CONFINED = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); from dryport.host.instances.confine import confine; "
    "confine(); os.execvp(sys.argv[2], sys.argv[2:])"
)
_PACKAGES = str(Path(__file__).parents[2])


class Machine:
    """One instance of the driver's, and commands in it as its root would run them."""

    def __init__(
        self,
        client: HostClient,
        config: Config,
        number: int,
        *,
        root_gib: int = 8,
        snapshot: str = "",
        **members: object,
    ) -> None:
        self.root_gib, self._snapshot = root_gib, snapshot
        self._client, self._config = client, config
        self.address = f"10.8.0.{number}"
        instance_id = f"i-{number:017x}"
        self.instance = Instance(
            id=instance_id,
            boot=1,
            vpc_id=VPC,
            namespace=f"dp{config.id}-{instance_id}",
            interface=Interface(
                mac=f"02:bb:00:00:00:{number:02x}",
                address_cidr=f"{self.address}/20",
                gateway="10.8.0.1",
                resolver="10.8.0.2",
                domain="ec2.internal",
            ),
            hostname=f"ip-10-8-0-{number}.ec2.internal",
            root=f"vol-{number:017x}",
            **{"base": "plain", "vcpus": 1.0, "memory": 512, **members},  # type: ignore[arg-type]
        )
        self.id = instance_id

    async def state(self) -> InstanceState:
        return (await self._client.instances())[self.id]

    async def boot(self, number: int = 1) -> InstanceState:
        """Boot it and wait until it is ready."""
        self.instance = replace(self.instance, boot=number)
        interface = self.instance.interface
        await self._client.plug(
            Port(
                vpc_id=VPC,
                interface_id=f"eni-{self.id[2:]}",
                mac=interface.mac,
                address=self.address,
                namespace=self.instance.namespace,
            )
        )
        gib, snapshot = self.root_gib, self._snapshot
        await self._client.ensure_volume(self.instance.root, gib, snapshot, system=not snapshot)
        await self._client.ensure_instance(self.instance)
        return await self.ready()

    async def ready(self, unlike: int = 0) -> InstanceState:
        """Wait until it is ready, in another run than that of process ``unlike``."""
        while True:
            state = await self.state()
            assert state.running, (state, await self.console())
            if state.ready and state.pid != unlike:
                return state
            await asyncio.sleep(0.01)

    async def delete(self) -> None:
        """Have nothing left of it."""
        await self._client.delete_instance(self.id)
        await self._client.delete_volume(self.instance.root)

    async def console(self) -> str:
        return (await self._client.console(self.id)).output.decode(errors="replace")

    async def run(self, script: str, check: bool = True) -> str:
        """What a shell prints that is in the instance in every respect. Raises AssertionError where it fails."""
        pid = (await self.state()).pid
        members = groups.members(f"dryport/{self._config.id}/{self.id}")
        join = "".join(f"echo 0 > {file}; " for file in members)
        enter = f"exec nsenter -t {pid} -m -p -i -u -C -n -- /run/dryport/python -I -S -c "
        command = ["sh", "-c", f'{join}{enter} "$@"', "sh", _CONFINED, _PACKAGES, "sh", "-ec", script]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, errors="replace")
        assert not check or done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return (done.stdout + ("" if check else done.stderr)).strip()


async def make_vpc(client: HostClient) -> None:
    network = {"cidr": "10.8.0.0/16", "subnets": ["10.8.0.0/20"], "resolver": "10.8.0.2", "domain": "ec2.internal"}
    await client.ensure_vpc(Vpc(id=VPC, dns=True, **network))  # type: ignore[arg-type]
