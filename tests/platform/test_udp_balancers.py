"""UDP through network load balancers: real sockets, real servers on instances, the kernel in between."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from dryport.elb.driver import balancer_id, namespace
from dryport.host.balancers.process import Run
from tests.conftest import Platform
from tests.platform.fleet import PARAMETER
from tests.platform.support import eventually
from tests.ports import free_port

pytestmark = pytest.mark.platform

# An echo that says who it is at UDP 9000 and TCP 9000, and a port for checks that a file turns off.
SERVE = """#!/bin/sh
cat > /srv/echo.py <<'.'
import socket, socketserver, threading, os
name = socket.gethostname().encode()
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        said, sock = self.request
        sock.sendto(name + b" " + said, self.client_address)
class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(name + b" " + self.rfile.readline())
class Web(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        status = b"500 No" if os.path.exists("/srv/ill") else b"200 OK"
        self.wfile.write(b"HTTP/1.1 " + status + b"\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
servers = [
    socketserver.ThreadingUDPServer(("0.0.0.0", 9000), Udp),
    socketserver.ThreadingTCPServer(("0.0.0.0", 9000), Tcp),
    socketserver.ThreadingTCPServer(("0.0.0.0", 9001), Web),
]
for each in servers:
    threading.Thread(target=each.serve_forever).start()
.
setsid python3 /srv/echo.py </dev/null >/dev/null 2>&1 &
"""
CHECK = {
    "HealthCheckProtocol": "HTTP", "HealthCheckPort": "9001", "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
}  # fmt: skip


class Wire:
    """Two instances that echo, in two zones, and a network load balancer before them."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.elb, self.ec2 = platform.client("elbv2"), platform.client("ec2")
        image = platform.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))[:2]
        self.vpc_id = subnets[0]["VpcId"]
        self.open = self.ec2.create_security_group(GroupName="wire", Description="-", VpcId=self.vpc_id)["GroupId"]
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=self.open, IpPermissions=everything)
        self.instances = [
            self.ec2.run_instances(
                ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1, SecurityGroupIds=[self.open],
                UserData=SERVE, SubnetId=each["SubnetId"],
            )["Instances"][0]["InstanceId"]
            for each in subnets
        ]  # fmt: skip
        eventually(lambda: self._running() == 2)
        self.arn = self.elb.create_load_balancer(
            Name="wire", Type="network", Subnets=[each["SubnetId"] for each in subnets], SecurityGroups=[self.open]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        across = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=across)
        self.addresses = eventually(self._addresses)

    def _running(self) -> int:
        found = self.ec2.describe_instances(InstanceIds=self.instances)["Reservations"]
        return [each["State"]["Name"] for one in found for each in one["Instances"]].count("running")

    def _addresses(self) -> list[str]:
        """Its public addresses, by zone, once it has both."""
        shown = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        mine = [each for each in shown if each["Description"].startswith("ELB net/wire/")]
        mine.sort(key=lambda each: str(each["AvailabilityZone"]))
        public = [each["Association"]["PublicIp"] for each in mine if "Association" in each]
        return public if len(public) == 2 else []

    def group(self, name: str, protocol: str) -> tuple[str, int]:
        """A target group of both instances with a listener, once they are healthy: its ARN and the port."""
        arn = self.elb.create_target_group(Name=name, Protocol=protocol, Port=9000, VpcId=self.vpc_id, **CHECK)
        group: str = arn["TargetGroups"][0]["TargetGroupArn"]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "3"}]
        self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": each} for each in self.instances])
        port = free_port()
        self.elb.create_listener(
            LoadBalancerArn=self.arn, Protocol=protocol, Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )  # fmt: skip
        eventually(lambda: list(self.health(group).values()) == ["healthy"] * 2, 60)
        return group, port

    def health(self, group: str) -> dict[str, str]:
        found = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in found}

    def delete(self) -> None:
        groups = self.elb.describe_target_groups(LoadBalancerArn=self.arn)["TargetGroups"]
        self.elb.delete_load_balancer(LoadBalancerArn=self.arn)
        for each in groups:
            self.elb.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
        self.ec2.terminate_instances(InstanceIds=self.instances)
        eventually(lambda: not self._interfaces(), 60)
        self.ec2.delete_security_group(GroupId=self.open)

    def _interfaces(self) -> list[Any]:
        found = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in found if self.open in [one["GroupId"] for one in each["Groups"]]]

    def name_of(self, instance: str) -> str:
        """How an instance calls itself."""
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return str(found["PrivateDnsName"])


class Client:
    """A socket, which is one flow."""

    def __init__(self, address: str, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect((address, port))

    def ask(self, word: str = "x") -> str:
        """Who answers; "" where nobody does."""
        try:
            self.socket.send(word.encode())
            name, _, said = self.socket.recv(1000).decode().partition(" ")
        except OSError:
            return ""
        assert said == word
        return name

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def wire(platform: Platform) -> Iterator[Wire]:
    made = Wire(platform)
    yield made
    made.delete()


def _who(address: str, port: int, clients: int = 16) -> set[str]:
    """Who answers so many flows."""
    found = set[str]()
    for _ in range(clients):
        with Client(address, port) as client:
            found.add(client.ask())
    return found


def test_flows_go_to_healthy_targets_and_stay_there(wire: Wire) -> None:
    """Over a deregistration, a failed check, and the deaths of whoever looks after them."""
    group, port = wire.group("udp", "UDP")
    first, second = (wire.name_of(each) for each in wire.instances)
    for address in wire.addresses:
        eventually(lambda address=address: _who(address, port) == {first, second}, 20)  # type: ignore[misc]
    kept = [Client(wire.addresses[0], port) for _ in range(16)]
    where = [client.ask() for client in kept]
    assert set(where) == {first, second}
    assert [client.ask() for client in kept] == where

    for process in ("control", "host"):
        os.kill(wire.platform.pid(process), signal.SIGKILL)
    run = wire.platform.config.balancer_dir / balancer_id(wire.arn) / "run.json"
    os.kill(msgspec.json.decode(run.read_bytes(), type=Run).pid, signal.SIGKILL)
    assert [client.ask() for client in kept] == where
    assert _who(wire.addresses[0], port) == {first, second}
    eventually(lambda: _served(wire), 60)

    targets = [{"Id": wire.instances[1]}]
    wire.elb.deregister_targets(TargetGroupArn=group, Targets=targets)
    eventually(lambda: _who(wire.addresses[0], port) == {first}, 20)
    eventually(lambda: wire.instances[1] not in wire.health(group), 20)
    assert [client.ask() for client, name in zip(kept, where, strict=True) if name == first] == [first] * where.count(
        first
    )
    left = [client for client, name in zip(kept, where, strict=True) if name == second]
    eventually(lambda: {client.ask() for client in left} == {first}, 20)  # what it had is over
    wire.elb.register_targets(TargetGroupArn=group, Targets=targets)
    eventually(lambda: _who(wire.addresses[0], port) == {first, second}, 60)
    for client in kept:
        client.socket.close()


def _served(wire: Wire) -> bool:
    try:
        return bool(wire.elb.describe_load_balancers(LoadBalancerArns=[wire.arn]))
    except Exception:
        return False


def test_unhealthy_targets_get_no_flows_unless_all_are(wire: Wire) -> None:
    """TCP and UDP at one port, in zones of their own; no rule of the kernel's is left at the end."""
    group, port = wire.group("both", "TCP_UDP")
    first, second = (wire.name_of(each) for each in wire.instances)
    eventually(lambda: _who(wire.addresses[1], port) == {first, second}, 20)
    apart = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    wire.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=apart)
    eventually(lambda: _who(wire.addresses[1], port) == {second}, 20)
    assert _who(wire.addresses[0], port) == {first}
    with socket.create_connection((wire.addresses[1], port), timeout=5) as client:
        client.sendall(b"hello\n")
        assert client.recv(1000).decode() == f"{second} hello\n"

    _ill(wire, wire.instances[1], "touch")
    eventually(lambda: _who(wire.addresses[1], port) == {first}, 40)
    _ill(wire, wire.instances[0], "touch")
    eventually(lambda: _who(wire.addresses[1], port) == {first, second}, 40)
    for each in wire.instances:
        _ill(wire, each, "rm")
    eventually(lambda: _who(wire.addresses[1], port) == {second}, 40)

    for each in wire.elb.describe_listeners(LoadBalancerArn=wire.arn)["Listeners"]:
        wire.elb.delete_listener(ListenerArn=each["ListenerArn"])
    name = namespace(wire.platform.config.id, wire.arn)
    listed = ["ip", "netns", "exec", name, "nft", "list", "tables"]
    eventually(lambda: "dryport_flows" not in subprocess.run(listed, capture_output=True, text=True).stdout)


def _ill(wire: Wire, instance: str, verb: str) -> None:
    from dryport.host.instances.places import Place

    run = Place(wire.platform.state_dir / "instances", instance).run()
    assert run is not None
    subprocess.run(["nsenter", "--target", str(run.pid), "-m", verb, "/srv/ill"], check=True)
