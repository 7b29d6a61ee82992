"""Services against Docker Swarm on the same machine: 50 tasks from nothing, 10 to 50, a rolling update of 20.

``python bench/services.py [--rounds 3]`` (as root, dockerd running and in no swarm) starts a Dryport of its own,
takes turns, prints a table of medians and keeps it in ``bench/results/services.md``. Both run the same busybox
program, which ends when it is told to. Swarm's time is until ``docker service`` says that the service has
converged; Dryport's until the AWS CLI's waiter would be content and the deployment is COMPLETED. Swarm updates all
tasks at once, starting the new ones first, as Dryport does by default.
"""

from __future__ import annotations

import argparse
import os
import platform as machine
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from roles import make_roles

from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "services.md"
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]
PROGRAM = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
IMAGE = "dryport-bench/services:1"
NAME = "bench"
DEADLINE = 180.0  # seconds
STEPS = ("0 to 50 tasks", "10 to 50 tasks", "rolling update of 20")


def sh(*command: str, stdin: str | None = None) -> str:
    """Run a command. Raises CalledProcessError."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def image() -> Iterator[None]:
    """A local image of Debian's busybox."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "bin").mkdir()
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        for applet in ("sh", "sleep"):
            (root / "bin" / applet).symlink_to("busybox")
        archive = subprocess.run(["tar", "-C", directory, "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(
            ["docker", "import", "-c", "ENV PATH=/bin", "-", IMAGE], input=archive, check=True, capture_output=True
        )
    try:
        yield
    finally:
        sh("docker", "rmi", "-f", IMAGE)


class Swarm:
    """``docker service``, which waits until a service has converged."""

    def create(self, count: int) -> None:
        sh("docker", "service", "create", "-q", "--name", NAME, "--replicas", str(count), "--no-resolve-image",
           "--update-parallelism", "0", "--update-order", "start-first", IMAGE, "sh", "-c", PROGRAM)  # fmt: skip

    def scale(self, count: int) -> None:
        sh("docker", "service", "scale", f"{NAME}={count}")

    def update(self) -> None:
        sh("docker", "service", "update", "-q", "--force", NAME)

    def remove(self) -> None:
        sh("docker", "service", "rm", NAME)
        until(lambda: not sh("docker", "ps", "-aq", "--filter", f"ancestor={IMAGE}"))


class Fargate:
    """A service of a Dryport's."""

    def __init__(self, state: Path, port: int, program: str) -> None:
        key = credentials.read(credentials.root_key_path(state))

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
            )

        self._ecs = client("ecs")
        make_roles(client("iam"))
        uri = client("ecr").create_repository(repositoryName="bench")["repository"]["repositoryUri"]
        token = client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        password = subprocess.run(["base64", "-d"], input=token.encode(), capture_output=True, check=True).stdout
        sh("docker", "login", "-u", "AWS", "--password-stdin", uri.split("/")[0], stdin=password.decode()[4:])
        sh("docker", "tag", IMAGE, f"{uri}:1")
        sh("docker", "push", "-q", f"{uri}:1")
        sh("docker", "rmi", f"{uri}:1")
        sh("docker", "logout", uri.split("/")[0])
        subnets = [each["SubnetId"] for each in client("ec2").describe_subnets()["Subnets"]]
        self._network = {"awsvpcConfiguration": {"subnets": subnets}}
        self._ecs.create_cluster(clusterName="default")
        self._ecs.register_task_definition(
            family=NAME, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
            executionRoleArn="arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
            containerDefinitions=[{"name": "main", "image": f"{uri}:1", "command": ["sh", "-c", program]}],
        )  # fmt: skip

    def create(self, count: int) -> None:
        self._ecs.create_service(
            serviceName=NAME, taskDefinition=NAME, desiredCount=count, launchType="FARGATE",
            networkConfiguration=self._network,
        )  # fmt: skip
        until(self._steady)

    def scale(self, count: int) -> None:
        self._ecs.update_service(service=NAME, desiredCount=count)
        until(self._steady)

    def update(self) -> None:
        self._ecs.update_service(service=NAME, forceNewDeployment=True)
        until(self._steady)

    def remove(self) -> None:
        self._ecs.delete_service(service=NAME, force=True)
        until(lambda: self._describe()["status"] == "INACTIVE")

    def running(self) -> set[str]:
        """The tasks that are RUNNING."""
        listed = self._ecs.list_tasks(serviceName=NAME)["taskArns"]
        found = self._ecs.describe_tasks(tasks=listed)["tasks"] if listed else []
        return {task["taskArn"] for task in found if task["lastStatus"] == "RUNNING"}

    def _describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ecs.describe_services(services=[NAME])["services"][0]
        return found

    def _steady(self) -> bool:
        service = self._describe()
        deployments = service["deployments"]
        steady = len(deployments) == 1 and service["runningCount"] == service["desiredCount"]
        return steady and deployments[0]["rolloutState"] == "COMPLETED"


def until(condition: Callable[[], Any], pause: float = 0.05) -> None:
    """Wait for it. Raises TimeoutError."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {DEADLINE:.0f} s")
        time.sleep(pause)


def timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def measure(who: Swarm | Fargate) -> list[float]:
    """Seconds that each of ``STEPS`` takes."""
    times = [timed(lambda: who.create(50))]
    who.remove()
    who.create(10)
    times.append(timed(lambda: who.scale(50)))
    who.scale(20)
    times.append(timed(who.update))
    who.remove()
    return times


@contextmanager
def swarm() -> Iterator[Swarm]:
    sh("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        yield Swarm()
    finally:
        sh("docker", "swarm", "leave", "--force")
        sh("docker", "network", "rm", "docker_gwbridge")


@contextmanager
def dryport(program: str = PROGRAM) -> Iterator[Fargate]:
    state, port = Path(tempfile.mkdtemp(prefix="dpb-", dir="/tmp")), free_port()
    sh(*DRYPORT, "up", "--detach", "--state-dir", str(state), "--port", str(port))
    try:
        yield Fargate(state, port, program)
    finally:
        sh(*DRYPORT, "down", "--state-dir", str(state))
        shutil.rmtree(state, ignore_errors=True)


def table(ours: list[list[float]], theirs: list[list[float]]) -> str:
    """The results as Markdown."""
    rows = ""
    for step, mine, other in zip(STEPS, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        a, b = statistics.median(mine), statistics.median(other)
        rows += f"| {step} | {a:.1f} s | {b:.1f} s | {a / b:.2f} × |\n"
    return (
        "# Services\n\n"
        f"`python bench/services.py`, medians of {len(ours)}, {os.cpu_count()} CPUs, Linux {machine.release()}, "
        f"{time.strftime('%Y-%m-%d')}, load average at the end {os.getloadavg()[0]:.1f}.\n\n"
        "| | Dryport (Fargate) | Docker Swarm | ratio |\n|---|---:|---:|---:|\n" + rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    with image(), dryport() as fargate, swarm() as there:
        for _ in range(rounds):
            theirs.append(measure(there))
            ours.append(measure(fargate))
    text = table(ours, theirs)
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
