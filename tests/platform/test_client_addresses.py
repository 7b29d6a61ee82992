"""Targets of network load balancers that see who calls: from this machine, from a task, from an instance."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform, free_port
from tests.load import Load
from tests.platform.fleet import Fleet
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform

# Says who called, at TCP 8080; its checks see any answer.
WHO = r"""mkdir -p /www/cgi-bin
cat > /www/cgi-bin/who <<'.'
#!/bin/sh
printf 'Content-Length: %d\r\nConnection: close\r\n\r\n%s\n' $((${#REMOTE_ADDR} + 1)) $REMOTE_ADDR
.
chmod +x /www/cgi-bin/who
exec httpd -f -p 0.0.0.0:8080 -h /www
"""
# On an instance: says who called, at TCP 9000 and UDP 9000.
SERVE = """#!/bin/sh
cat > /srv/who.py <<'.'
import socketserver, threading
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.client_address[0].encode(), self.client_address)
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.client_address[0].encode())
for each in (socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer):
    threading.Thread(target=each(("0.0.0.0", 9000), Udp if "UDP" in each.__name__ else Tcp).serve_forever).start()
.
setsid python3 /srv/who.py </dev/null >/dev/null 2>&1 &
"""
ASK = """import socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[1]]
with socket.socket(socket.AF_INET, kind) as asking:
    asking.settimeout(2)
    try:
        asking.connect((sys.argv[2], int(sys.argv[3])))
        asking.send(b"x")
        print(asking.recv(100).decode())
    except OSError:
        print("nobody")
"""
CHECK = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2}
KEPT = "preserve_client_ip.enabled"


class Wire:
    """A network load balancer without security groups, in two zones."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.elb, self.ec2 = platform.client("elbv2"), platform.client("ec2")
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))
        self.vpc_id = subnets[0]["VpcId"]
        made = self.elb.create_load_balancer(
            Name="known", Type="network", Subnets=[each["SubnetId"] for each in subnets[:2]]
        )["LoadBalancers"][0]
        self.arn, self.name = made["LoadBalancerArn"], made["DNSName"]
        across = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=across)
        shown = eventually(lambda: len(found := self.interfaces()) == 2 and found)
        self.private = [str(each["PrivateIpAddress"]) for each in shown]
        self.public = [str(each["Association"]["PublicIp"]) for each in shown]
        network = platform.config.public_network.split("/")[0]
        self.machine = f"{network.rpartition('.')[0]}.1"  # this machine, as VPCs know it

    def interfaces(self) -> list[Any]:
        found = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        mine = [each for each in found if each["Description"].startswith("ELB net/known/")]
        return sorted((each for each in mine if "Association" in each), key=lambda each: str(each["AvailabilityZone"]))

    def group(self, name: str, protocol: str, port: int, kind: str, *targets: str) -> tuple[str, int]:
        """A target group with a listener, once its targets are healthy: its ARN and the listener's port."""
        made = self.elb.create_target_group(
            Name=name, Protocol=protocol, Port=port, VpcId=self.vpc_id, TargetType=kind, **CHECK
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        if targets:
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": each} for each in targets])
        listens = free_port()
        forward = [{"Type": "forward", "TargetGroupArn": arn}]
        self.elb.create_listener(LoadBalancerArn=self.arn, Protocol=protocol, Port=listens, DefaultActions=forward)
        eventually(lambda: self.health(arn) == ["healthy"] * len(targets), 60)
        return arn, listens

    def health(self, group: str) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [each["TargetHealth"]["State"] for each in found]

    def keep(self, group: str, value: str) -> None:
        self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": KEPT, "Value": value}])

    def security_group(self, name: str, port: int, *peers: str) -> str:
        made: str = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc_id)["GroupId"]
        for each in peers:
            self.admit(made, port, each)
        return made

    def admit(self, group: str, port: int, peer: str, *, no_more: bool = False) -> None:
        act = self.ec2.revoke_security_group_ingress if no_more else self.ec2.authorize_security_group_ingress
        ranges = [{"CidrIp": f"{peer}/32"}]
        rules = [
            {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": ranges}
            for protocol in ("tcp", "udp")
        ]
        act(GroupId=group, IpPermissions=rules)

    def delete(self) -> None:
        groups = self.elb.describe_target_groups(LoadBalancerArn=self.arn)["TargetGroups"]
        self.elb.delete_load_balancer(LoadBalancerArn=self.arn)
        for each in groups:
            self.elb.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
        eventually(lambda: not self.interfaces())


@pytest.fixture(scope="module")
def wire(platform: Platform) -> Iterator[Wire]:
    made = Wire(platform)
    yield made
    made.delete()


def _get(url: str) -> str:
    return subprocess.run(["curl", "-s", "-m", "3", url], capture_output=True, text=True).stdout.strip()


def _address(task: dict[str, Any]) -> str:
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def test_a_task_sees_who_calls_where_it_is_to(wire: Wire, curl_tasks: Tasks) -> None:
    """The balancer's address until addresses are kept, then the client's, whom its group has to let in."""
    tasks = curl_tasks
    own = wire.security_group("who", 8080, *wire.private)
    target = tasks.run(tasks.define(tasks.container(WHO)), groups=[own])[0]
    address = _address(tasks.until(target, "RUNNING"))
    group, port = wire.group("who", "TCP", 8080, "ip", address)
    path = f":{port}/cgi-bin/who"
    ask = f"while :; do /usr/bin/curl -s -m 2 http://{wire.private[0]}{path} || echo nobody; sleep 0.5; done"
    clients = [tasks.run(tasks.define(tasks.container(ask)))[0] for _ in range(2)]
    first, second = (_address(tasks.until(each, "RUNNING")) for each in clients)

    def said(client: str) -> str:
        """What a client was last told."""
        return (tasks.output(client) or [""])[-1].strip()

    for client in clients:
        eventually(lambda client=client: said(client) == wire.private[0], 20)  # type: ignore[misc]
    assert _get(f"http://{wire.name}{path}") == wire.private[0]

    wire.keep(group, "true")
    for client in clients:
        eventually(lambda client=client: said(client) == "nobody")  # type: ignore[misc]
    assert _get(f"http://{wire.name}{path}") == ""
    wire.admit(own, 8080, first)
    eventually(lambda: said(clients[0]) == first)
    assert said(clients[1]) == "nobody"
    wire.admit(own, 8080, wire.machine)
    for host in (wire.name, *wire.public):  # by the door, and without it
        eventually(lambda host=host: _get(f"http://{host}{path}") == wire.machine)  # type: ignore[misc]
    wire.admit(own, 8080, first, no_more=True)
    eventually(lambda: said(clients[0]) == "nobody")
    assert wire.health(group) == ["healthy"]  # its checks come from the balancer

    wire.keep(group, "false")
    for client in clients:
        eventually(lambda client=client: said(client) == wire.private[0])  # type: ignore[misc]
    for each in (target, *clients):
        tasks.ecs.stop_task(task=each)
    for each in (target, *clients):
        tasks.until(each, "STOPPED")
    wire.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": address}])
    eventually(lambda: _gone(wire.ec2, own), 20)
    assert second


def test_no_connection_is_lost_over_a_deployment(wire: Wire, tasks: Tasks) -> None:
    """Each request on a connection of its own, while all tasks are replaced that see who calls."""
    groups = [wire.security_group("replaced", 8080, *wire.private, wire.machine)]
    group, port = wire.group("replaced", "TCP", 8080, "ip")
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
    wire.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    wire.keep(group, "true")
    container = tasks.container(WHO, portMappings=[{"containerPort": 8080}])
    network = {"subnets": tasks.subnets[:2], "securityGroups": groups}
    tasks.ecs.create_service(
        serviceName="replaced", taskDefinition=tasks.define(container), desiredCount=2, launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 8080}],
    )  # fmt: skip

    def steady() -> bool:
        found = tasks.ecs.describe_services(services=["replaced"])["services"][0]
        alone = len(found["deployments"]) == 1 and found["runningCount"] == 2
        return alone and found["deployments"][0]["rolloutState"] == "COMPLETED"

    eventually(steady, 90)
    with Load(f"http://{wire.name}:{port}/cgi-bin/who", rate=50) as load:
        tasks.ecs.update_service(service="replaced", forceNewDeployment=True)
        eventually(lambda: not steady(), 10)
        eventually(steady, 120)
        eventually(lambda: wire.health(group) == ["healthy"] * 2, 30)
    assert not load.failed, load.failed[:5]
    assert {each.server.strip() for each in load.answers} == {wire.machine}
    tasks.ecs.delete_service(service="replaced", force=True)
    eventually(lambda: _gone(wire.ec2, groups[0]))


def _gone(ec2: Any, group: str) -> bool:
    try:
        ec2.delete_security_group(GroupId=group)
    except ec2.exceptions.ClientError:
        return False
    return True


def test_an_instance_sees_who_calls_without_being_asked_to(wire: Wire, platform: Platform, busybox: str) -> None:
    """By TCP and by UDP; its group lets one client in, and not the other."""
    fleet = Fleet(platform, busybox, group="known", cluster="known")
    own = wire.security_group("instances", 9000, *wire.private)
    server = fleet.boot(UserData=SERVE, SecurityGroupIds=[own])
    clients = [fleet.boot(UserData="") for _ in range(2)]
    for each in (server, *clients):
        eventually(lambda each=each: fleet.ready(each))  # type: ignore[misc]
    first = str(fleet.instance(clients[0])["PrivateIpAddress"])
    tcp, tcp_port = wire.group("plain", "TCP", 9000, "instance", server)
    _, both_port = wire.group("both", "TCP_UDP", 9000, "instance", server)

    def asked(client: str, protocol: str, port: int, node: int = 0) -> str:
        return fleet.inside(client, "python3", "-c", ASK, protocol, wire.private[node], str(port))

    ways = (("tcp", tcp_port), ("tcp", both_port), ("udp", both_port))
    for protocol, port in ways:
        assert asked(clients[0], protocol, port) == "nobody"
    wire.admit(own, 9000, first)
    for protocol, port in ways:
        for node in (0, 1):
            eventually(lambda: asked(clients[0], protocol, port, node) == first, 20)  # noqa: B023
        assert asked(clients[1], protocol, port) == "nobody"
    wire.admit(own, 9000, wire.machine)
    for protocol, port in ways:
        command = ["python3", "-c", ASK, protocol, wire.public[0], str(port)]
        eventually(lambda: subprocess.run(command, capture_output=True, text=True).stdout.strip() == wire.machine)  # noqa: B023
    wire.keep(tcp, "false")
    eventually(lambda: asked(clients[1], "tcp", tcp_port) == wire.private[0])
    for each in (server, *clients):
        fleet.terminate(each)
    for each in (own, fleet.group):
        eventually(lambda each=each: _gone(wire.ec2, each), 20)  # type: ignore[misc]
