"""A rolling update of 20 web tasks behind an application load balancer, under steady load; and a task's sudden death.

``python bench/deployment.py [--rounds 3] [--rate 200]`` (as root, dockerd running) starts a Dryport of its own, prints
a table and keeps it in ``bench/results/deployment.md``. The tasks are busybox's httpd, which has a new process answer
each request. The load is ``tests/load.py``, a process of its own that stands for clients elsewhere (so it goes before
others of this machine): requests begin at their time over 16 connections that are kept, and their latency counts from
then. "No deployment" is the time before; the update lasts from UpdateService until the deployment is complete and the
old tasks have drained; the death from SIGKILL of a task's server until another one takes traffic.
"""

from __future__ import annotations

import argparse
import os
import platform as machine
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from bench.roles import make_roles  # noqa: E402
from bench.services import free_port, sh, until  # noqa: E402
from tests.load import Load  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "deployment.md"
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]
IMAGE = "dryport-bench/web:1"
NAME = "web"
COUNT = 20
CONNECTIONS = 16
QUIET = 15.0  # seconds
PROGRAM = "mkdir -p /www && echo $VERSION > /www/index.html && exec httpd -f -p 8080 -h /www"


class Part(NamedTuple):
    """What a part of the load saw. Seconds."""

    lasted: float
    requests: int
    failed: int
    median: float
    p99: float


@contextmanager
def image() -> Iterator[None]:
    """A local image of Debian's busybox."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "bin").mkdir()
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        for applet in ("sh", "mkdir", "httpd"):
            (root / "bin" / applet).symlink_to("busybox")
        archive = subprocess.run(["tar", "-C", directory, "-c", "."], capture_output=True, check=True).stdout
        command = ["docker", "import", "-c", "ENV PATH=/bin", "-", IMAGE]
        subprocess.run(command, input=archive, check=True, capture_output=True)
    try:
        yield
    finally:
        sh("docker", "rmi", "-f", IMAGE)


class Web:
    """A service of web tasks behind a load balancer."""

    def __init__(self, state: Path, port: int) -> None:
        key = credentials.read(credentials.root_key_path(state))

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
            )

        make_roles(client("iam"))
        self._ecs, self._elb, ec2, ecr = client("ecs"), client("elbv2"), client("ec2"), client("ecr")
        self._uri = _push(ecr)
        subnets = ec2.describe_subnets()["Subnets"]
        vpc, self._subnets = subnets[0]["VpcId"], [each["SubnetId"] for each in subnets]
        self._open = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
        everybody = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ec2.authorize_security_group_ingress(GroupId=self._open, IpPermissions=everybody)
        self._group = self._balance(vpc)
        self._ecs.create_cluster(clusterName="default")

    def _balance(self, vpc: str) -> str:
        """Make the balancer; its target group."""
        made = self._elb.create_load_balancer(Name=NAME, Subnets=self._subnets, SecurityGroups=[self._open])
        balancer = made["LoadBalancers"][0]
        group: str = self._elb.create_target_group(
            Name=NAME, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2, UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
        self._elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
        port = free_port()
        self._elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )  # fmt: skip
        self.url = f"http://{balancer['DNSName']}:{port}/"
        return group

    def define(self, version: str) -> None:
        """A new revision of the tasks."""
        container = {
            "name": "main", "image": f"{self._uri}:1", "command": ["sh", "-c", PROGRAM], "stopTimeout": 2,
            "portMappings": [{"containerPort": 8080}], "environment": [{"name": "VERSION", "value": version}],
        }  # fmt: skip
        self._ecs.register_task_definition(
            family=NAME, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
            executionRoleArn="arn:aws:iam::000000000000:role/ecsTaskExecutionRole", containerDefinitions=[container],
        )  # fmt: skip

    def create(self) -> None:
        """Have it steady."""
        self.define("0")
        self._ecs.create_service(
            serviceName=NAME, taskDefinition=NAME, desiredCount=COUNT, launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": self._subnets, "securityGroups": [self._open]}},
            loadBalancers=[{"targetGroupArn": self._group, "containerName": "main", "containerPort": 8080}],
        )  # fmt: skip
        until(self._steady)

    def update(self, version: str) -> None:
        """Replace every task, until the last old one is gone."""
        self.define(version)
        self._ecs.update_service(service=NAME, taskDefinition=NAME)
        until(lambda: self._steady() and self._whole(), 0.25)

    def kill(self) -> None:
        """``kill -9`` of a task's server, until another one takes traffic."""
        lost: str = self._ecs.list_tasks(serviceName=NAME)["taskArns"][0]
        os.kill(_server(lost.rpartition("/")[2]), signal.SIGKILL)
        until(lambda: lost not in self._ecs.list_tasks(serviceName=NAME)["taskArns"])
        until(lambda: self._steady() and self._whole(), 0.25)

    def remove(self) -> None:
        """Have nothing left."""
        self._ecs.delete_service(service=NAME, force=True)
        until(lambda: self._describe()["status"] == "INACTIVE")

    def _describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ecs.describe_services(services=[NAME])["services"][0]
        return found

    def _steady(self) -> bool:
        found = self._describe()
        steady = len(found["deployments"]) == 1 and found["runningCount"] == found["desiredCount"]
        return steady and found["deployments"][0]["rolloutState"] == "COMPLETED"

    def _whole(self) -> bool:
        found = self._elb.describe_target_health(TargetGroupArn=self._group)["TargetHealthDescriptions"]
        return [each["TargetHealth"]["State"] for each in found] == ["healthy"] * COUNT


def _push(ecr: Any) -> str:
    uri: str = ecr.create_repository(repositoryName=NAME)["repository"]["repositoryUri"]
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = subprocess.run(["base64", "-d"], input=token.encode(), capture_output=True, check=True).stdout
    sh("docker", "login", "-u", "AWS", "--password-stdin", uri.split("/")[0], stdin=password.decode()[4:])
    sh("docker", "tag", IMAGE, f"{uri}:1")
    sh("docker", "push", "-q", f"{uri}:1")
    sh("docker", "rmi", f"{uri}:1")
    sh("docker", "logout", uri.split("/")[0])
    return uri


def _server(task_id: str) -> int:
    """The process of a task's server, as this machine counts."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = task_id in (process / "cgroup").read_text()
            if mine and (process / "cmdline").read_bytes().startswith(b"httpd"):
                return int(process.name)
        except OSError:
            continue  # it has ended meanwhile
    raise LookupError(task_id)


def measure(web: Web, rate: float, number: int) -> dict[str, Part]:
    """One round: what the load saw of each part."""
    with Load(web.url, rate, CONNECTIONS, priority=20) as load:
        time.sleep(3.0)
        marks = [time.monotonic()]
        time.sleep(QUIET)
        marks.append(time.monotonic())
        web.update(str(number))
        marks.append(time.monotonic())
        time.sleep(2.0)
        marks.append(time.monotonic())
        web.kill()
        marks.append(time.monotonic())
    found = {}
    for name, (begin, end) in {"quiet": marks[0:2], "update": marks[1:3], "killed": marks[3:5]}.items():
        mine = [each for each in load.answers if begin <= each.at < end]
        failed = sum(each.status != 200 for each in mine)
        p50, p99 = (load.percentile(share, begin, end) for share in (0.5, 0.99))
        found[name] = Part(end - begin, len(mine), failed, p50, p99)
    for each in load.failed:
        print(f"failed {each.at - marks[1]:+.3f} s from the update: {each}", flush=True)
    return found


@contextmanager
def dryport() -> Iterator[Web]:
    state, port = Path(tempfile.mkdtemp(prefix="dpb-", dir="/tmp")), free_port()
    sh(*DRYPORT, "up", "--detach", "--state-dir", str(state), "--port", str(port))
    try:
        yield Web(state, port)
    finally:
        sh(*DRYPORT, "down", "--state-dir", str(state))
        shutil.rmtree(state, ignore_errors=True)


def table(rounds: list[dict[str, Part]], rate: float) -> str:
    """The results as Markdown: medians, but failed requests are all of them."""
    rows = ""
    quiet = statistics.median(each["quiet"].p99 for each in rounds)
    names = {"quiet": "no deployment", "update": "rolling update of 20", "killed": "a task killed with -9"}
    for part, name in names.items():
        mine = [each[part] for each in rounds]
        lasted, median, p99 = (
            statistics.median(getattr(each, what) for each in mine) for what in ("lasted", "median", "p99")
        )
        requests, failed = sum(each.requests for each in mine), sum(each.failed for each in mine)
        rows += f"| {name} | {lasted:.1f} s | {requests} | {failed} | {1000 * median:.1f} ms | {1000 * p99:.1f} ms | "
        rows += f"{p99 / quiet:.2f} × |\n"
    return (
        "# Deployments under load\n\n"
        f"`python bench/deployment.py`, medians of {len(rounds)} rounds (requests and failures: all), {rate:.0f} "
        f"requests a second over {CONNECTIONS} connections, {os.cpu_count()} CPUs, Linux {machine.release()}, "
        f"{time.strftime('%Y-%m-%d')}, load average at the end {os.getloadavg()[0]:.1f}.\n\n"
        "| | lasts | requests | failed | median | p99 | p99 to no deployment |\n|---|---:|---:|---:|---:|---:|---:|\n"
        + rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0)
    arguments = parser.parse_args()
    with image(), dryport() as web:
        web.create()
        rounds = [measure(web, arguments.rate, number) for number in range(1, arguments.rounds + 1)]
        web.remove()
    text = table(rounds, arguments.rate)
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
