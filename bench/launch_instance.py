"""How long a launch takes on an EC2 instance of Dryport: RunTask against ``docker run -d`` on that very host.

    eval "$(dryport env --state-dir DIR)"
    .venv/bin/python bench/launch_instance.py --state-dir DIR

One table (kept in bench/results/launch-instance.md): medians of runs that alternate. RUNNING is what DescribeTasks
says; the first instruction prints a line, whose time stamp Docker gives. Needs root (to enter the instance), a running
Dryport and a static busybox.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.launch_platform import push
from bench.roles import make_roles
from dryport.host.instances.places import Place
from tests.agent_runtime.registry import base

RESULTS = Path(__file__).parent / "results" / "launch-instance.md"
NAME = "dryport-bench-instance"
AMI = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
COMMAND = ["/bin/sh", "-c", "echo first; exec sleep 300"]
POLL = 0.005  # seconds between looks at a task

# Seconds until it is said to run, and until its first instruction.
Launch = tuple[float, float]


class Bench:
    """One instance of one cluster."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._ec2, self._ecs, self._ssm = (boto3.client(name) for name in ("ec2", "ecs", "ssm"))
        self._image = ""
        self._instance = ""

    def prepare(self) -> None:
        """Push the image, launch the instance, wait for its agent; a task of each mode brings the image there."""
        archive = base().tar()
        local = f"{NAME}:{uuid.uuid4().hex[:8]}"
        subprocess.run(["docker", "import", "-", local], input=archive, check=True, stdout=subprocess.DEVNULL)
        self._image = push(boto3.client("ecr"), NAME, local)
        subprocess.run(["docker", "image", "rm", local], check=True, capture_output=True)
        self._ecs.create_cluster(clusterName=NAME)
        make_roles(boto3.client("iam"))
        made = self._ec2.run_instances(
            ImageId=self._ssm.get_parameter(Name=AMI)["Parameter"]["Value"],
            InstanceType="t3.medium",
            MinCount=1,
            MaxCount=1,
            UserData=f"#!/bin/sh\necho ECS_CLUSTER={NAME} >> /etc/ecs/ecs.config\n",
            IamInstanceProfile={"Name": "ecsInstanceRole"},
        )
        self._instance = made["Instances"][0]["InstanceId"]
        while not self._connected():
            time.sleep(0.2)
        for mode in ("bridge", "awsvpc"):
            container = {"name": "app", "image": self._image, "memory": 64, "command": COMMAND, "stopTimeout": 2}
            self._ecs.register_task_definition(
                family=f"{NAME}-{mode}", networkMode=mode, containerDefinitions=[container]
            )
            self.task(mode)

    def _connected(self) -> bool:
        arns = self._ecs.list_container_instances(cluster=NAME)["containerInstanceArns"]
        found = arns and self._ecs.describe_container_instances(cluster=NAME, containerInstances=arns)
        return bool(found and found["containerInstances"][0]["agentConnected"])

    def inside(self, *command: str) -> str:
        """What a command says in the instance."""
        run = Place(self._state_dir / "instances", self._instance).run()
        assert run is not None
        enter = ["nsenter", "-t", str(run.pid), "-m", "-n", "-p", "-u", "-i", "--", *command]
        return subprocess.run(enter, check=True, capture_output=True, text=True).stdout.strip()

    def docker(self) -> Launch:
        """``docker run -d``."""
        began = time.time()
        container = self.inside("docker", "run", "-d", self._image, *COMMAND)
        running = time.time() - began
        first = self._first_line(container) - began
        self.inside("docker", "rm", "-f", container)
        return running, first

    def task(self, mode: str) -> Launch:
        """RunTask."""
        request: dict[str, Any] = {"cluster": NAME, "taskDefinition": f"{NAME}-{mode}"}
        if mode == "awsvpc":
            subnets = [each["SubnetId"] for each in self._ec2.describe_subnets()["Subnets"]]
            request["networkConfiguration"] = {"awsvpcConfiguration": {"subnets": subnets}}
        began = time.time()
        answer = self._ecs.run_task(**request)
        if answer["failures"]:
            raise SystemExit(f"RunTask: {answer['failures']}")
        arn = answer["tasks"][0]["taskArn"]
        task = self._until(arn, "RUNNING")
        running = time.time() - began
        first = self._first_line(task["containers"][0]["runtimeId"]) - began
        self._ecs.stop_task(cluster=NAME, task=arn)
        self._until(arn, "STOPPED")
        return running, first

    def _until(self, arn: str, status: str) -> dict[str, Any]:
        while True:
            task: dict[str, Any] = self._ecs.describe_tasks(cluster=NAME, tasks=[arn])["tasks"][0]
            if task["lastStatus"] == status:
                return task
            if task["lastStatus"] == "STOPPED":
                raise SystemExit(f"the task stopped: {task.get('stoppedReason')}")
            time.sleep(POLL)

    def _first_line(self, container: str) -> float:
        """When a container printed its first line, in seconds since the epoch."""
        while not (line := self.inside("docker", "logs", "--timestamps", container)):
            time.sleep(0.02)
        stamp = line.split(" ", 1)[0]
        return datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00").timestamp()

    def clear(self) -> None:
        """Leave nothing."""
        if self._instance:
            self._ec2.terminate_instances(InstanceIds=[self._instance])
            self._ec2.get_waiter("instance_terminated").wait(InstanceIds=[self._instance], WaiterConfig={"Delay": 1})
        for mode in ("bridge", "awsvpc"):
            for arn in self._ecs.list_task_definitions(familyPrefix=f"{NAME}-{mode}")["taskDefinitionArns"]:
                self._ecs.deregister_task_definition(taskDefinition=arn)
        boto3.client("ecr").delete_repository(repositoryName=NAME, force=True)
        self._ecs.delete_cluster(cluster=NAME)


def measure(bench: Bench, runs: int) -> dict[str, list[Launch]]:
    """Launches of each kind, by turns."""
    kinds: dict[str, Callable[[], Launch]] = {
        "docker run -d": bench.docker,
        "RunTask, bridge": lambda: bench.task("bridge"),
        "RunTask, awsvpc": lambda: bench.task("awsvpc"),
    }
    found: dict[str, list[Launch]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, launch in kinds.items():
            found[kind].append(launch())
    return found


def table(found: dict[str, list[Launch]]) -> str:
    """Medians as Markdown, in milliseconds, each with its ratio to Docker's."""
    reference = medians(found["docker run -d"])
    lines = ["| | running | ratio | first instruction | ratio |", "|---|---|---|---|---|"]
    for kind, launches in found.items():
        cells = [
            f"{own * 1e3:.0f} ms | {own / dockers:.2f}"
            for own, dockers in zip(medians(launches), reference, strict=True)
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def medians(launches: list[Launch]) -> Launch:
    """Of each of the two figures."""
    return statistics.median(one for one, _ in launches), statistics.median(other for _, other in launches)


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state-dir", type=Path, required=True, help="of the running Dryport")
    parser.add_argument("--runs", type=int, default=15, help="launches of each kind")
    arguments = parser.parse_args()
    bench = Bench(arguments.state_dir)
    try:
        bench.prepare()
        text = table(measure(bench, arguments.runs))
    finally:
        bench.clear()
    print(text)
    load = f"load {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors"
    RESULTS.write_text(f"# Launch on an instance\n\n{text}\n\nMade by `bench/launch_instance.py`; {load}.\n")


if __name__ == "__main__":
    main()
