"""Further interfaces and secondary addresses of instances: real packets, with the groups of each interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform


class Hosts(Fleet):
    """Two instances in a subnet: a server on port 8081, and one that asks it."""

    def group_of(self, name: str, source: str | None = None) -> str:
        """A security group that lets TCP 8081 in from another one."""
        vpc = self.ec2.describe_subnets(SubnetIds=[self.subnet])["Subnets"][0]["VpcId"]
        made: str = self.ec2.create_security_group(GroupName=name, Description="-", VpcId=vpc)["GroupId"]
        if source is not None:
            pair = {"UserIdGroupPairs": [{"GroupId": source}], "IpProtocol": "tcp", "FromPort": 8081, "ToPort": 8081}
            self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[pair])
        return made

    @property
    def subnet(self) -> str:
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])
        found: str = subnets["Subnets"][0]["SubnetId"]
        return found

    def up(self, **settings: Any) -> str:
        made = self.boot(**settings)
        eventually(lambda: self.ready(made))
        return made

    def answers(self, client: str, address: str, *options: str) -> bool:
        """Whether an instance gets an answer from an address."""
        command = [*self.entering(client), "curl", "-s", "-m", "2", *options, f"http://{address}:8081/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode in (0, 7, 28), done
        return done.returncode == 0 and done.stdout == "hello\n"

    def serve(self, instance_id: str) -> None:
        self.inside(instance_id, "sh", "-c", "mkdir -p /srv/www; echo hello > /srv/www/index.html")
        self.inside(instance_id, "busybox", "httpd", "-p", "0.0.0.0:8081", "-h", "/srv/www")

    def addresses(self, instance_id: str, name: str) -> list[str]:
        """What an interface has inside, as ``address/length``."""
        shown = self.inside(instance_id, "ip", "-4", "-o", "addr", "show", "dev", name)
        return [line.split()[3] for line in shown.splitlines()]


@pytest.fixture(scope="module")
def hosts(platform: Platform, tasks: Tasks) -> Hosts:
    return Hosts(platform, tasks.image, "hosts", "hosts")


@pytest.fixture(scope="module")
def groups(hosts: Hosts) -> dict[str, str]:
    """``client`` may reach what has ``server``, and what has ``server`` may reach ``client``."""
    client = hosts.group_of("client")
    server = hosts.group_of("server", client)
    pair = {"UserIdGroupPairs": [{"GroupId": server}], "IpProtocol": "tcp", "FromPort": 8081, "ToPort": 8081}
    hosts.ec2.authorize_security_group_ingress(GroupId=client, IpPermissions=[pair])
    return {"client": client, "server": server}


@pytest.fixture(scope="module")
def client(hosts: Hosts, groups: dict[str, str]) -> Iterator[str]:
    made = hosts.up(SubnetId=hosts.subnet, SecurityGroupIds=[groups["client"]])
    hosts.serve(made)
    yield made
    hosts.ec2.terminate_instances(InstanceIds=[made])


@pytest.fixture(scope="module")
def server(hosts: Hosts, groups: dict[str, str]) -> Iterator[str]:
    """An instance of which only the second interface is reached; that one has two addresses."""
    first = {"DeviceIndex": 0, "SubnetId": hosts.subnet, "Groups": [hosts.group]}
    second = {
        "DeviceIndex": 1,
        "SubnetId": hosts.subnet,
        "Groups": [groups["server"]],
        "SecondaryPrivateIpAddressCount": 1,
    }
    request: dict[str, Any] = {"NetworkInterfaces": [first, second], "UserData": "#!/bin/sh\n"}
    made = hosts.ec2.run_instances(ImageId=hosts.ami, InstanceType="t3.small", MinCount=1, MaxCount=1, **request)[
        "Instances"
    ][0]["InstanceId"]
    eventually(lambda: hosts.ready(made))
    hosts.serve(made)
    yield made
    hosts.ec2.terminate_instances(InstanceIds=[made])


def cards(hosts: Hosts, instance_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hosts.instance(instance_id)["NetworkInterfaces"]
    return sorted(found, key=lambda each: each["Attachment"]["DeviceIndex"])


def of(card: dict[str, Any]) -> list[str]:
    return [each["PrivateIpAddress"] for each in card["PrivateIpAddresses"]]


def test_a_second_interface_answers_with_its_own_groups(hosts: Hosts, client: str, server: str) -> None:
    first, second = cards(hosts, server)
    assert [each["Primary"] for each in second["PrivateIpAddresses"]] == [True, False]
    assert sorted(hosts.addresses(server, "eth1")) == sorted([f"{of(second)[0]}/20", f"{of(second)[1]}/32"])
    own = hosts.instance(client)["PrivateIpAddress"]

    def answers_both_ways(address: str) -> bool:
        # What it sends from there has its groups too: the other way is allowed to them alone.
        return hosts.answers(client, address) and hosts.answers(server, own, "--interface", address)

    assert all(eventually(lambda each=each: answers_both_ways(each)) for each in of(second))  # type: ignore[misc]
    assert not hosts.answers(client, first["PrivateIpAddress"])
    assert not hosts.answers(server, own, "--interface", first["PrivateIpAddress"])
    mac = second["MacAddress"]
    token = "$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)"
    path = f"http://169.254.169.254/latest/meta-data/network/interfaces/macs/{mac}/local-ipv4s"
    told = hosts.inside(server, "sh", "-c", f'curl -s -H "X-aws-ec2-metadata-token: {token}" {path}')
    assert told.split() == of(second)


def test_addresses_come_and_go_while_it_runs(hosts: Hosts, groups: dict[str, str], client: str, server: str) -> None:
    ec2 = hosts.ec2
    made = ec2.create_network_interface(SubnetId=hosts.subnet, Groups=[groups["server"]])["NetworkInterface"]
    attachment = ec2.attach_network_interface(
        DeviceIndex=2, InstanceId=server, NetworkInterfaceId=made["NetworkInterfaceId"]
    )["AttachmentId"]
    eventually(lambda: hosts.answers(client, made["PrivateIpAddress"]))
    assert hosts.addresses(server, "eth2") == [f"{made['PrivateIpAddress']}/20"]
    answer = ec2.assign_private_ip_addresses(
        NetworkInterfaceId=made["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=2
    )
    more = [each["PrivateIpAddress"] for each in answer["AssignedPrivateIpAddresses"]]
    assert len(more) == 2
    for address in more:
        eventually(lambda address=address: hosts.answers(client, address))  # type: ignore[misc]

    # Moved to the second one, it answers there still; taken back, nowhere.
    second = cards(hosts, server)[1]
    ec2.assign_private_ip_addresses(
        NetworkInterfaceId=second["NetworkInterfaceId"], PrivateIpAddresses=more[:1], AllowReassignment=True
    )
    eventually(lambda: f"{more[0]}/32" in hosts.addresses(server, "eth1"))
    eventually(lambda: f"{more[0]}/32" not in hosts.addresses(server, "eth2"))
    eventually(lambda: hosts.answers(client, more[0]))
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=made["NetworkInterfaceId"], PrivateIpAddresses=more[1:])
    eventually(lambda: hosts.addresses(server, "eth2") == [f"{made['PrivateIpAddress']}/20"])
    assert not hosts.answers(client, more[1])
    eventually(lambda: hosts.answers(client, made["PrivateIpAddress"]))

    ec2.detach_network_interface(AttachmentId=attachment)
    eventually(
        lambda: (
            ec2.describe_network_interfaces(NetworkInterfaceIds=[made["NetworkInterfaceId"]])["NetworkInterfaces"][0][
                "Status"
            ]
            == "available"
        )
    )
    assert "eth2" not in hosts.inside(server, "ip", "-o", "link")
    assert not hosts.answers(client, made["PrivateIpAddress"])
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])


def test_a_secondary_address_of_the_primary_interface(
    hosts: Hosts, groups: dict[str, str], client: str, server: str
) -> None:
    ec2, primary = hosts.ec2, cards(hosts, client)[0]
    given = ec2.assign_private_ip_addresses(
        NetworkInterfaceId=primary["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=1
    )["AssignedPrivateIpAddresses"][0]["PrivateIpAddress"]
    second = cards(hosts, server)[1]["PrivateIpAddress"]
    eventually(lambda: hosts.answers(server, given, "--interface", second))
    # It is still the first address that connections come from.
    route = hosts.inside(client, "ip", "route", "get", second).split()
    assert route[route.index("src") + 1] == primary["PrivateIpAddress"]

    # An instance that starts again has it again.
    ec2.stop_instances(InstanceIds=[client])
    eventually(lambda: hosts.instance(client)["State"]["Name"] == "stopped")
    ec2.start_instances(InstanceIds=[client])
    eventually(lambda: hosts.ready(client))
    hosts.serve(client)
    assert f"{given}/32" in hosts.addresses(client, "eth0")
    eventually(lambda: hosts.answers(server, given, "--interface", second))
    eventually(lambda: hosts.answers(client, second))
