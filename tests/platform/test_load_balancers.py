"""Load balancers as their users have them: made by API, answering by name on this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, eventually
from tests.ports import free_port

pytestmark = pytest.mark.platform


class Web:
    """Load balancers in the default VPC, open to everybody at every port."""

    def __init__(self, platform: Platform) -> None:
        self.elb, self.ec2 = platform.client("elbv2"), platform.client("ec2")
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))
        self.subnets = [each["SubnetId"] for each in subnets]
        self.vpc_id = subnets[0]["VpcId"]
        self.open = self.ec2.create_security_group(GroupName="web", Description="web", VpcId=self.vpc_id)["GroupId"]
        everybody = [{"CidrIp": "0.0.0.0/0"}]
        ports = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": everybody}]
        self.ec2.authorize_security_group_ingress(GroupId=self.open, IpPermissions=ports)

    def balancer(self, name: str, **more: Any) -> Any:
        """A load balancer once it is active."""
        asked = {"Name": name, "Subnets": self.subnets[:2], "SecurityGroups": [self.open], **more}
        arn = self.elb.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"]

        def active() -> Any:
            found = self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
            assert found["State"]["Code"] != "failed", found
            return found if found["State"]["Code"] == "active" else None

        return eventually(active, 20)

    def get(self, url: str) -> str:
        """What curl prints of an answer with its head; "" while nobody answers."""
        done = subprocess.run(["curl", "-si", "-m", "5", url], capture_output=True, text=True)
        return done.stdout


@pytest.fixture(scope="module")
def web(platform: Platform) -> Iterator[Web]:
    made = Web(platform)
    yield made
    eventually(lambda: not _interfaces(made), 20)
    made.ec2.delete_security_group(GroupId=made.open)


def _interfaces(web: Web) -> list[Any]:
    found = web.ec2.describe_network_interfaces()["NetworkInterfaces"]
    return [each for each in found if each.get("RequesterId") == "amazon-elb"]


def test_a_balancer_answers_by_its_name_until_it_is_deleted(web: Web) -> None:
    """Active before it has a listener; then rules decide; nothing is left at the end."""
    made, port = web.balancer("answers"), free_port()
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "tea"}}
    listener = web.elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[answer]
    )["Listeners"][0]["ListenerArn"]
    web.elb.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/go*"]}],
        Actions=[{"Type": "redirect", "RedirectConfig": {"Host": "example.com", "StatusCode": "HTTP_302"}}],
    )
    url = f"http://{made['DNSName']}:{port}"
    assert "418" in eventually(lambda: web.get(url), 20) and web.get(url).endswith("tea")
    assert f"location: http://example.com:{port}/go/1" in eventually(lambda: _found(web.get(f"{url}/go/1"), "302"))
    web.elb.delete_listener(ListenerArn=listener)
    eventually(lambda: not web.get(url), 20)
    assert web.balancer("answers")["LoadBalancerArn"] == made["LoadBalancerArn"]
    web.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    eventually(lambda: not _interfaces(web), 20)


def _found(text: str, word: str) -> str:
    return text if word in text else ""


def test_a_task_is_a_target(web: Web, tasks: Tasks) -> None:
    """Unused, then healthy and served, draining, gone."""
    serve = "mkdir -p /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www"
    task = tasks.run(tasks.define(tasks.container(serve)), groups=[web.open])[0]
    running = tasks.until(task, "RUNNING")
    details = {each["name"]: each["value"] for each in running["attachments"][0]["details"]}
    check = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2}
    group = web.elb.create_target_group(
        Name="task", Protocol="HTTP", Port=8080, VpcId=web.vpc_id, TargetType="ip", **check
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
    web.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    target = {"Id": details["privateIPv4Address"], "Port": 8080}

    def health() -> str:
        found = web.elb.describe_target_health(TargetGroupArn=group, Targets=[target])["TargetHealthDescriptions"][0]
        return str(found["TargetHealth"].get("Reason") or found["TargetHealth"]["State"])

    assert health() == "Target.NotRegistered"
    web.elb.register_targets(TargetGroupArn=group, Targets=[target])
    assert health() == "Target.NotInUse"
    made, port = web.balancer("serves"), free_port()
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    web.elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=forward)
    _until(health, "healthy")
    assert _until(lambda: web.get(f"http://{made['DNSName']}:{port}/")[-6:], "hello\n")
    web.elb.deregister_targets(TargetGroupArn=group, Targets=[target])
    _until(health, "Target.NotRegistered")
    assert " 503 " in web.get(f"http://{made['DNSName']}:{port}/")
    web.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    web.elb.delete_target_group(TargetGroupArn=group)
    tasks.ecs.stop_task(task=task)
    tasks.until(task, "STOPPED")


def _healths(web: Web, group: str) -> list[Any]:
    found: list[Any] = web.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return found


def test_a_network_load_balancer(web: Web, tasks: Tasks) -> None:
    """In two zones, with a target in one of them, which both lead to; its name leads there too. What is open with a
    target outlasts its registration."""
    serve = "mkdir -p /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www"
    task = tasks.run(tasks.define(tasks.container(serve)), groups=[web.open])[0]
    running = tasks.until(task, "RUNNING")
    details = {each["name"]: each["value"] for each in running["attachments"][0]["details"]}
    group = web.elb.create_target_group(
        Name="wired", Protocol="TCP", Port=8080, VpcId=web.vpc_id, TargetType="ip", HealthCheckIntervalSeconds=10
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
    web.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    target = {"Id": details["privateIPv4Address"]}
    web.elb.register_targets(TargetGroupArn=group, Targets=[target])
    made, port = web.balancer("wire", Type="network"), free_port()
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    web.elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="TCP", Port=port, DefaultActions=forward)
    _until(lambda: web.get(f"http://{made['DNSName']}:{port}/")[-6:], "hello\n")
    public = [each["Association"]["PublicIp"] for each in _interfaces(web)]
    assert len(public) == 2
    _until(lambda: "".join(web.get(f"http://{each}:{port}/")[-6:] for each in public), "hello\nhello\n")
    with socket.create_connection((made["DNSName"], port), 5) as opened:
        opened.sendall(b"GET / HTTP/1.0\r\n")
        web.elb.deregister_targets(TargetGroupArn=group, Targets=[target])
        eventually(lambda: not _healths(web, group))
        _until(lambda: web.get(f"http://{made['DNSName']}:{port}/"), "")
        opened.sendall(b"\r\n")
        assert opened.makefile("rb").read().endswith(b"hello\n")
    web.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    web.elb.delete_target_group(TargetGroupArn=group)
    tasks.ecs.stop_task(task=task)
    tasks.until(task, "STOPPED")


def test_groups_hold_and_zones_change(web: Web) -> None:
    """Nobody comes in until a security group lets him; a balancer that moves to other zones answers on."""
    closed = web.ec2.create_security_group(GroupName="closed", Description="closed", VpcId=web.vpc_id)["GroupId"]
    made, port = web.balancer("moves", SecurityGroups=[closed]), free_port()
    arn, url = made["LoadBalancerArn"], f"http://{made['DNSName']}:{port}/"
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "here"}}
    web.elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[answer])
    eventually(lambda: _listens(port), 20)
    assert web.get(url) == ""
    web.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[web.open])
    _until(lambda: web.get(url)[-4:], "here")
    before = {each["NetworkInterfaceId"]: each["SubnetId"] for each in _interfaces(web)}
    web.elb.set_subnets(LoadBalancerArn=arn, Subnets=web.subnets[1:3])
    _until(lambda: " ".join(sorted(each["SubnetId"] for each in _interfaces(web))), " ".join(sorted(web.subnets[1:3])))
    after = {each["NetworkInterfaceId"]: each["SubnetId"] for each in _interfaces(web)}
    assert len(before.items() & after.items()) == 1  # the zone that stayed has its interface still
    _until(lambda: web.get(url)[-4:], "here")
    web.elb.delete_load_balancer(LoadBalancerArn=arn)
    eventually(lambda: not _interfaces(web), 20)
    web.ec2.delete_security_group(GroupId=closed)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(probe: Callable[[], str], wanted: str, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while (found := probe()) != wanted:
        assert time.monotonic() < deadline, f"{found!r}, not {wanted!r}"
        time.sleep(0.05)
    return True


def _trusted(platform: Platform, url: str) -> str:
    """What curl, which trusts nobody but the platform's own authority, gets; "" for nothing."""
    authority = platform.state_dir / "ca.pem"
    done = subprocess.run(["curl", "-sS", "-m", "5", "--cacert", str(authority), url], capture_output=True, text=True)
    return done.stdout


def test_https_with_a_certificate_that_clients_verify(web: Web, platform: Platform) -> None:
    """The names of two certificates are told apart by SNI; HTTP leads to HTTPS; a certificate in use stays."""
    acm, made, port, plain = platform.client("acm"), web.balancer("secure"), free_port(), free_port()

    def certificate(domain: str) -> str:
        arn: str = acm.request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]
        acm.get_waiter("certificate_validated").wait(CertificateArn=arn, WaiterConfig={"Delay": 1})
        return arn

    first, second = certificate(made["DNSName"].lower()), certificate("*.shop.localhost")
    hello = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "safe"}}
    listener = web.elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=port,
        Certificates=[{"CertificateArn": first}],
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        DefaultActions=[hello],
    )["Listeners"][0]["ListenerArn"]
    url = f"https://{made['DNSName'].lower()}:{port}/"
    assert eventually(lambda: _trusted(platform, url), 20) == "safe"
    assert not _trusted(platform, f"https://www.shop.localhost:{port}/")  # another name than the certificate's
    web.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    assert eventually(lambda: _trusted(platform, f"https://www.shop.localhost:{port}/"), 20) == "safe"
    web.elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTP",
        Port=plain,
        DefaultActions=[
            {
                "Type": "redirect",
                "RedirectConfig": {"Protocol": "HTTPS", "Port": str(port), "StatusCode": "HTTP_301"},
            }
        ],
    )
    moved = eventually(lambda: _found(web.get(f"http://{made['DNSName']}:{plain}/a?b=c"), "301"), 20)
    assert f"location: https://{made['DNSName']}:{port}/a?b=c".lower() in moved.lower()
    assert acm.describe_certificate(CertificateArn=first)["Certificate"]["InUseBy"] == [made["LoadBalancerArn"]]
    with pytest.raises(acm.exceptions.ResourceInUseException):
        acm.delete_certificate(CertificateArn=first)
    web.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    for arn in (first, second):
        acm.delete_certificate(CertificateArn=arn)
