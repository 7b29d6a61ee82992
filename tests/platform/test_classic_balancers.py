"""Classic load balancers as their users have them: instances behind them, by boto3, the AWS CLI and curl."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.host.instances.places import Place as Directory
from tests.conftest import Platform
from tests.load import Load
from tests.platform.fleet import PARAMETER
from tests.platform.support import eventually
from tests.ports import free_port

pytestmark = pytest.mark.platform

SERVE = """#!/bin/sh
mkdir -p /srv/www/cgi-bin; cd /srv/www; hostname > name; echo fine > health
cat > cgi-bin/login <<'.'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\nSet-Cookie: session=1; Path=/\\r\\n\\r\\n'; cat /srv/www/name
.
cat > cgi-bin/asked <<'.'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'; env | grep ^HTTP_
.
chmod +x cgi-bin/*
setsid busybox httpd -f -p 8080 -h /srv/www </dev/null >/dev/null 2>&1 &
"""
CHECK = {"Target": "HTTP:8080/health", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}


def curl(*arguments: str) -> str:
    """What curl prints; "" while nobody answers."""
    return subprocess.run(["curl", "-s", "-m", "5", *arguments], capture_output=True, text=True).stdout


class Place:
    """Two instances that serve, in different zones, and classic load balancers before them."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.elb, self.ec2 = platform.client("elb"), platform.client("ec2")
        image = platform.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.open = self.ec2.create_security_group(GroupName="classic", Description="-", VpcId=vpc)["GroupId"]
        ports = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=self.open, IpPermissions=ports)
        self.zones = ["us-east-1a", "us-east-1b"]
        self.instances = [
            self.ec2.run_instances(
                ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1, SecurityGroupIds=[self.open],
                UserData=SERVE, Placement={"AvailabilityZone": zone},
            )["Instances"][0]["InstanceId"]
            for zone in self.zones
        ]  # fmt: skip
        eventually(lambda: self._running() == len(self.instances))

    def _running(self) -> int:
        found = self.ec2.describe_instances(InstanceIds=self.instances)["Reservations"]
        return [each["State"]["Name"] for one in found for each in one["Instances"]].count("running")

    def balancer(self, name: str, *listeners: dict[str, Any], **more: Any) -> str:
        """A load balancer, whose instances are checked often: its name."""
        asked = {"AvailabilityZones": self.zones, "SecurityGroups": [self.open], **more}
        made = self.elb.create_load_balancer(LoadBalancerName=name, Listeners=listeners, **asked)
        self.elb.configure_health_check(LoadBalancerName=name, HealthCheck=CHECK)
        return str(made["DNSName"])

    def register(self, name: str, *instances: str) -> None:
        given = [{"InstanceId": each} for each in instances or self.instances]
        self.elb.register_instances_with_load_balancer(LoadBalancerName=name, Instances=given)

    def deregister(self, name: str, instance: str) -> None:
        given = [{"InstanceId": instance}]
        self.elb.deregister_instances_from_load_balancer(LoadBalancerName=name, Instances=given)

    def states(self, name: str) -> dict[str, tuple[str, str, str]]:
        found = self.elb.describe_instance_health(LoadBalancerName=name)["InstanceStates"]
        return {each["InstanceId"]: (each["State"], each["ReasonCode"], each["Description"]) for each in found}

    def in_service(self, name: str, count: int = 2) -> None:
        eventually(lambda: [each[0] for each in self.states(name).values()] == ["InService"] * count, 90)

    def inside(self, instance: str, *command: str) -> str:
        """What a command says that is run in an instance."""
        run = Directory(self.platform.state_dir / "instances", instance).run()
        assert run is not None
        entering = ["nsenter", "--target", str(run.pid), "-m", "-n"]
        return subprocess.run([*entering, *command], capture_output=True, text=True, timeout=30).stdout

    def gone(self, name: str) -> None:
        self.elb.delete_load_balancer(LoadBalancerName=name)


@pytest.fixture(scope="module")
def place(platform: Platform) -> Iterator[Place]:
    made = Place(platform)
    yield made
    for each in made.elb.describe_load_balancers()["LoadBalancerDescriptions"]:
        made.elb.delete_load_balancer(LoadBalancerName=each["LoadBalancerName"])
    made.ec2.terminate_instances(InstanceIds=made.instances)
    eventually(lambda: not _interfaces(made), 60)
    made.ec2.delete_security_group(GroupId=made.open)


def _interfaces(place: Place) -> list[Any]:
    found = place.ec2.describe_network_interfaces()["NetworkInterfaces"]
    return [each for each in found if place.open in [one["GroupId"] for one in each["Groups"]]]


def http(port: int, **more: Any) -> dict[str, Any]:
    return {"Protocol": "HTTP", "LoadBalancerPort": port, "InstancePort": 8080, **more}


def test_instances_take_traffic_and_leave_it(place: Place) -> None:
    """Registered, checked, served by HTTP and TCP, drained; the headers are AWS's."""
    port, plain = free_port(), free_port()
    tcp = {"Protocol": "TCP", "LoadBalancerPort": plain, "InstancePort": 8080}
    name = place.balancer("web", http(port), tcp)
    url = f"http://{name}:{port}"
    assert "503 Service Unavailable: Back-end server is at capacity" in eventually(lambda: curl("-i", url), 30)
    place.register("web")
    first, second = place.instances
    registering = ("OutOfService", "ELB", "Instance registration is still in progress.")
    assert registering in place.states("web").values()
    place.in_service("web")
    assert place.states("web") == dict.fromkeys(place.instances, ("InService", "N/A", "N/A"))

    modify = place.elb.modify_load_balancer_attributes
    modify(LoadBalancerName="web", LoadBalancerAttributes={"CrossZoneLoadBalancing": {"Enabled": True}})
    eventually(lambda: len({curl(f"{url}/name") for _ in range(8)}) == 2, 20)
    assert {curl(f"http://{name}:{plain}/name") for _ in range(8)} == {curl(f"{url}/name") for _ in range(8)}
    asked = curl(f"{url}/cgi-bin/asked").splitlines()
    assert f"HTTP_X_FORWARDED_PORT={port}" in asked and "HTTP_X_FORWARDED_PROTO=http" in asked
    assert any(each.startswith("HTTP_X_FORWARDED_FOR=") for each in asked)
    assert f"HTTP_HOST={name}:{port}" in asked  # as the client said it
    cli = place.platform.cli
    cli("elb", "wait", "instance-in-service", "--load-balancer-name", "web")
    shown = cli("elb", "describe-load-balancers", "--load-balancer-names", "web")["LoadBalancerDescriptions"][0]
    assert shown["DNSName"] == name and len(shown["Instances"]) == 2
    assert "classic" in place.platform.dryport("status").stdout
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end='')"
    found = place.inside(first, "/usr/bin/python3", "-c", fetch, f"{url}/name")  # curl asks no name server for it
    assert found in {curl(f"{url}/name") for _ in range(8)}

    draining = {"ConnectionDraining": {"Enabled": True, "Timeout": 3}}
    modify(LoadBalancerName="web", LoadBalancerAttributes=draining)
    with Load(f"{url}/name", connections=4) as load:
        place.deregister("web", first)
        leaving = ("InService", "N/A", "Instance deregistration currently in progress.")
        assert place.states("web")[first] == leaving
        eventually(lambda: first not in place.states("web"), 20)
    assert not load.failed
    unknown = place.elb.describe_instance_health(LoadBalancerName="web", Instances=[{"InstanceId": first}])
    assert unknown["InstanceStates"][0]["Description"] == "Instance is not currently registered with the LoadBalancer."
    assert len({curl(f"{url}/name") for _ in range(8)}) == 1

    place.elb.configure_health_check(LoadBalancerName="web", HealthCheck={**CHECK, "Target": "HTTP:8080/none"})
    failed = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
    eventually(lambda: place.states("web")[second] == ("OutOfService", "Instance", failed), 40)
    eventually(lambda: " 503 " in curl("-i", url), 20)  # each listener has checks of its own
    place.gone("web")


def test_https_with_a_policy_and_cookies_that_tie(place: Place, tmp_path: Path) -> None:
    """By a certificate of ACM's; a custom SSL negotiation policy; both kinds of stickiness; it outlives its process."""
    acm, port, plain = place.platform.client("acm"), free_port(), free_port()
    certificate = acm.request_certificate(DomainName="*.us-east-1.elb.localhost")["CertificateArn"]
    eventually(lambda: acm.describe_certificate(CertificateArn=certificate)["Certificate"]["Status"] == "ISSUED")
    secure = {
        "Protocol": "HTTPS", "LoadBalancerPort": port, "InstancePort": 8080, "InstanceProtocol": "HTTP",
        "SSLCertificateId": certificate,
    }  # fmt: skip
    name = place.balancer("safe", secure, http(plain))
    place.elb.modify_load_balancer_attributes(
        LoadBalancerName="safe", LoadBalancerAttributes={"CrossZoneLoadBalancing": {"Enabled": True}}
    )
    place.register("safe")
    place.in_service("safe")
    trust = ("--cacert", str(place.platform.state_dir / "ca.pem"))
    url = f"https://{name}:{port}"
    assert "HTTP_X_FORWARDED_PROTO=https" in eventually(lambda: curl(*trust, f"{url}/cgi-bin/asked"), 20)

    def speaks(*words: str) -> bool:
        done = subprocess.run(["curl", "-s", *trust, *words, f"{url}/name"], capture_output=True, text=True)
        return done.returncode == 0

    # Below OpenSSL's own level: a client that would otherwise take such.
    old = ("--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0")
    assert speaks(*old) and speaks("--tls-max", "1.2")
    only = [
        {"AttributeName": each, "AttributeValue": "true"}
        for each in ("Protocol-TLSv1.2", "Server-Defined-Cipher-Order", "ECDHE-RSA-AES128-GCM-SHA256")
    ]
    place.elb.create_load_balancer_policy(
        LoadBalancerName="safe", PolicyName="only", PolicyTypeName="SSLNegotiationPolicyType", PolicyAttributes=only
    )
    place.elb.create_lb_cookie_stickiness_policy(
        LoadBalancerName="safe", PolicyName="minute", CookieExpirationPeriod=60
    )
    place.elb.set_load_balancer_policies_of_listener(
        LoadBalancerName="safe", LoadBalancerPort=port, PolicyNames=["only", "minute"]
    )
    place.elb.create_app_cookie_stickiness_policy(LoadBalancerName="safe", PolicyName="app", CookieName="session")
    place.elb.set_load_balancer_policies_of_listener(
        LoadBalancerName="safe", LoadBalancerPort=plain, PolicyNames=["app"]
    )
    eventually(lambda: not speaks(*old), 20)
    assert speaks("--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")
    assert not speaks("--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES256-GCM-SHA384")

    jar = str(tmp_path / "jar")
    given = eventually(lambda: _cookie(curl("-i", "-c", jar, *trust, f"{url}/name")), 20)
    assert given.startswith("AWSELB=") and "MAX-AGE=60" in given
    assert len({curl("-b", jar, *trust, f"{url}/name") for _ in range(6)}) == 1
    other = str(tmp_path / "other")
    assert "AWSELB" not in curl("-i", "-c", other, f"http://{name}:{plain}/name")

    def logged_in() -> str:
        answer = curl("-i", "-c", other, f"http://{name}:{plain}/cgi-bin/login")
        return answer if "AWSELB=" in answer else ""

    login = eventually(logged_in, 20)
    assert "session=1" in login
    assert {curl("-b", other, f"http://{name}:{plain}/name") for _ in range(6)} == {login.splitlines()[-1] + "\n"}
    spread = Counter(curl(f"http://{name}:{plain}/name") for _ in range(6))
    assert len(spread) == 2
    used = acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"]
    assert used == ["arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/safe"]
    place.gone("safe")
    eventually(lambda: not acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"])
    acm.delete_certificate(CertificateArn=certificate)


def _cookie(answer: str) -> str:
    return next((each.partition(": ")[2] for each in answer.splitlines() if "AWSELB=" in each), "")
