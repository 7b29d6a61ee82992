"""From EC2's API to packets: gateway, store, controllers, host driver, all real."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from dryport.control.context import Context, Room
from dryport.ec2 import model, published
from dryport.ec2.api import SERVICE
from dryport.ec2.controllers.networks import Convergence, Departures, Networks
from dryport.ec2.model import NetworkInterface
from dryport.host import links, namespaces
from dryport.host.client import HostClient
from dryport.host.messages import Port
from tests.host.conftest import Daemon, traces
from tests.host.packets import listening, reaches
from tests.served import Served

pytestmark = pytest.mark.platform


class World:
    """A host driver, and EC2 in front of it."""

    def __init__(self, state_dir: Path) -> None:
        self.daemon = Daemon(state_dir / "host")
        self.daemon.start()
        self.served = Served(state_dir / "control", [self._room])
        self.ec2 = self.served.client("ec2")
        self.namespaces: list[str] = []

    def _room(self, context: Context) -> Room:
        driver = HostClient(self.daemon.config.run_dir / "host.sock")
        networks = Networks(context.store, context.clock, context.random, driver)
        departures = Departures(context.store, context.clock, driver)
        return Room(
            services={"ec2": lambda: SERVICE},
            loops=(networks, departures, Convergence(context, driver, networks, self.daemon.config.public_network)),
        )

    @property
    def reader(self) -> Any:
        return self.served.context.store.reader

    def wait(self, what: Callable[[], Any]) -> Any:
        """Until something is so; half a minute is for a machine that many share."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"never came true\n{self.daemon.log()}")

    def interfaces(self, count: int, **request: Any) -> list[NetworkInterface]:
        """Interfaces of a task, once they are plugged in or have failed."""
        ids = self.ask(count, **request)
        self.wait(lambda: all(self.interface(each).device != "wanted" for each in ids))
        return [self.interface(each) for each in ids]

    def ask(self, count: int, **request: Any) -> list[str]:
        """Make interfaces as ECS does; their ids."""
        account = self.served.context.config.account
        subnet = published.default_subnets(self.reader, account, "us-east-1")[0].id
        where: dict[str, Any] = {"now": 1.0, "account": account, "region": "us-east-1"}
        request = {"subnet_id": subnet, "group_ids": [], "owner": "a-task", **request}

        async def make() -> list[str]:
            def work(tx: Any) -> list[str]:
                random = self.served.context.random
                return [published.create_network_interface(tx, random, **where, **request).id for _ in range(count)]

            return await self.served.context.store.transact(work)

        return self.served.run(make())

    def interface(self, interface_id: str) -> NetworkInterface:
        found: NetworkInterface = self.reader.get(model.NETWORK_INTERFACES, interface_id)
        return found

    def adopt(self, interface: NetworkInterface) -> str:
        """A namespace of a task's with this interface in it."""
        name = f"dp{self.daemon.config.id}-t{len(self.namespaces)}"
        namespaces.create(name)
        self.namespaces.append(name)
        links.adopt(interface.mac_address, name, address_cidr=f"{interface.private_ip}/20", gateway="172.31.0.1")
        return name

    def release(self, *interfaces: NetworkInterface) -> None:
        async def delete() -> None:
            for each in interfaces:
                await self.served.context.store.transact(
                    partial(published.delete_network_interface, interface_id=each.id)
                )

        self.served.run(delete())

    def regroup(self, interface: NetworkInterface, group: str) -> None:
        """Give an interface another group, as its owner: a task's is not the user's to change."""
        with pytest.raises(ClientError, match="You do not have permission to access the specified resource"):
            self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface.id, Groups=[group])

        async def put() -> None:
            changed = replace(self.interface(interface.id), group_ids=[group])
            await self.served.context.store.transact(lambda tx: tx.put(model.NETWORK_INTERFACES, changed))

        self.served.run(put())

    def really_there(self) -> list[str]:
        """The interfaces that are plugged in, whatever the store says."""
        prefix = f"dp{self.daemon.config.id}-vpc-"
        script = "import socket; print([name for _, name in socket.if_nameindex() if name.startswith('e')])"
        found: list[str] = []
        for name in namespaces.names(prefix):
            command = ["nsenter", f"--net=/run/netns/{name}", sys.executable, "-c", script]
            found += eval(subprocess.check_output(command, text=True))
        return found

    def stop(self) -> None:
        self.served.stop()
        subprocess.run(
            [sys.executable, "-c", _TEARDOWN, str(self.daemon.config.run_dir / "host.sock")], check=True, timeout=60
        )
        self.daemon.stop()
        for name in self.namespaces:
            namespaces.delete(name)


_TEARDOWN = """
import asyncio, sys
from pathlib import Path
from dryport.host.client import HostClient
asyncio.run(HostClient(Path(sys.argv[1])).teardown())
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-networks-"))
    for name in ("host", "control"):
        (state_dir / name).mkdir()
    made = World(state_dir)
    yield made
    made.stop()
    assert traces(made.daemon.config) == ""
    shutil.rmtree(state_dir)


def test_the_default_vpc_is_there_before_the_first_task(world: World) -> None:
    world.wait(lambda: len(namespaces.names(f"dp{world.daemon.config.id}-vpc-")) == 1)
    assert len(namespaces.names(f"dp{world.daemon.config.id}-vpc-")) == 1


def test_an_interface_works_once_it_is_reported_as_plugged(world: World) -> None:
    first, second = world.interfaces(2)
    assert (first.device, second.device) == ("plugged", "plugged")
    one, two = world.adopt(first), world.adopt(second)
    with listening(two, 80):
        assert reaches(one, second.private_ip, 80)
    described = world.ec2.describe_network_interfaces(NetworkInterfaceIds=[first.id])["NetworkInterfaces"][0]
    assert described["Status"] == "in-use" and described["Attachment"]["Status"] == "attached"
    world.release(first, second)
    assert world.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))
    assert world.really_there() == []


def test_changes_of_a_group_act_on_new_connections(world: World) -> None:
    vpc = world.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = world.ec2.create_security_group(GroupName="web", Description="x", VpcId=vpc)["GroupId"]
    (client,), (server,) = world.interfaces(1), world.interfaces(1, group_ids=[group])
    here, there = world.adopt(client), world.adopt(server)
    with listening(there, 80):
        assert not reaches(here, server.private_ip, 80)
        rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "172.31.0.0/16"}
        world.ec2.authorize_security_group_ingress(**rule)
        world.wait(lambda: reaches(here, server.private_ip, 80))
        world.ec2.revoke_security_group_ingress(**rule)
        world.wait(lambda: not reaches(here, server.private_ip, 80))
        default = client.group_ids[0]
        pairs = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": default}]}]
        world.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=pairs)
        world.wait(lambda: reaches(here, server.private_ip, 80))
        world.regroup(client, group)
        world.wait(lambda: not reaches(here, server.private_ip, 80))
    world.release(client, server)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))
    world.ec2.delete_security_group(GroupId=group)


def test_a_public_address_answers_on_this_machine_while_the_route_is_there(world: World) -> None:
    vpc = world.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = world.ec2.create_security_group(GroupName="public", Description="x", VpcId=vpc)["GroupId"]
    rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}
    world.ec2.authorize_security_group_ingress(**rule)
    (server,) = world.interfaces(1, group_ids=[group], assign_public_ip=True)
    address = server.public_ip
    assert address
    name = world.adopt(server)
    table = world.ec2.describe_route_tables()["RouteTables"][0]
    route = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    with listening(name, 80):
        assert reaches("", address, 80)
        world.ec2.delete_route(**route)
        world.wait(lambda: not reaches("", address, 80))
        world.ec2.create_route(**route, GatewayId=table["Routes"][1]["GatewayId"])
        world.wait(lambda: reaches("", address, 80))
    found = world.ec2.describe_network_interfaces(Filters=[{"Name": "association.public-ip", "Values": [address]}])
    assert [each["NetworkInterfaceId"] for each in found["NetworkInterfaces"]] == [server.id]
    world.release(server)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))
    world.ec2.delete_security_group(GroupId=group)


def test_interfaces_that_come_one_by_one_have_their_public_addresses_once_plugged(world: World) -> None:
    """Also those that are made while others are given theirs."""
    ids = [world.ask(1, assign_public_ip=True)[0] for _ in range(40)]
    world.wait(lambda: all(world.interface(each).device != "wanted" for each in ids))
    made = [world.interface(each) for each in ids]
    assert all(each.device == "plugged" for each in made)
    assert len({each.public_ip for each in made if each.public_ip}) == len(made)
    world.release(*made)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))


def test_a_driver_that_is_killed_and_returns_finds_everything_as_it_should_be(world: World) -> None:
    kept, gone = world.interfaces(2)
    world.daemon.kill()
    world.release(gone)
    (late,) = world.ask(1)
    world.daemon.start()
    world.wait(lambda: world.interface(late).device == "plugged")
    world.wait(lambda: world.interface(gone.id) is None)
    assert world.interface(kept.id).device == "plugged"
    assert len(world.really_there()) == 2
    one, two = world.adopt(kept), world.adopt(world.interface(late))
    with listening(two, 80):
        assert reaches(one, world.interface(late).private_ip, 80)
    world.release(kept, world.interface(late))
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))


def test_a_driver_that_is_killed_amid_fifty_interfaces_leaves_none_half_made(world: World) -> None:
    ids = world.ask(50)
    world.wait(world.really_there)
    world.daemon.kill()
    world.daemon.start()
    world.wait(lambda: all(world.interface(each).device == "plugged" for each in ids))
    namespace = f"dp{world.daemon.config.id}-{world.interface(ids[0]).vpc_id}"
    for what in ("route", "neighbour"):
        shown = subprocess.check_output(["ip", "-n", namespace, what], text=True)
        assert all(f"{world.interface(each).private_ip} dev e" in shown for each in ids), what
    world.release(*(world.interface(each) for each in ids))
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))
    assert world.really_there() == []


def test_a_control_plane_that_starts_again_removes_what_nobody_knows(world: World) -> None:
    (kept,) = world.interfaces(1)
    world.served.stop()

    async def plug_a_stray() -> None:
        client = world.daemon.client()
        stray = Port(
            vpc_id=kept.vpc_id, interface_id="eni-0" + 16 * "b", mac="02:bb:00:00:00:01", address="172.31.0.200"
        )
        await client.plug(stray)
        await client.close()

    asyncio.run(plug_a_stray())
    assert len(world.really_there()) == 2
    world.served.start()
    world.ec2 = world.served.client("ec2")
    world.wait(lambda: len(world.really_there()) == 1)
    assert world.interface(kept.id).device == "plugged"
    world.release(kept)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))


def test_an_interface_for_a_namespace_that_is_not_there_fails_and_says_so(world: World) -> None:
    (failed,) = world.interfaces(1, namespace="dp-nobody-made-this")
    assert failed.device == "failed" and "FileNotFoundError" in failed.device_error
    world.release(failed)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))


def test_fifty_interfaces_at_once(world: World) -> None:
    made = world.interfaces(50)
    assert {each.device for each in made} == {"plugged"}
    assert len({each.private_ip for each in made}) == len({each.mac_address for each in made}) == 50
    world.release(*made)
    world.wait(lambda: not world.reader.count(model.NETWORK_INTERFACES))
    assert world.really_there() == []


def test_a_deleted_vpc_leaves_no_namespace(world: World) -> None:
    vpc = world.ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    subnet = world.ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.0.0/24")["Subnet"]["SubnetId"]
    (only,) = world.interfaces(1, subnet_id=subnet)
    assert only.device == "plugged"
    assert namespaces.exists(f"dp{world.daemon.config.id}-{vpc}")
    world.release(only)
    world.ec2.delete_subnet(SubnetId=subnet)
    world.ec2.delete_vpc(VpcId=vpc)
    world.wait(lambda: not namespaces.exists(f"dp{world.daemon.config.id}-{vpc}"))
