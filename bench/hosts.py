"""Hosts: from RunInstances to a registered, connected container instance; ten at once; memory of an idle one.

``python bench/hosts.py [--rounds 5] [--at-once 10]`` (as root) starts a Dryport of its own, prints a table and keeps it
in ``bench/results/hosts.md``. Memory is what the instance's cgroup is charged without its page cache, and the
proportional set size (PSS) of its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from roles import make_roles

from dryport.control.config import load
from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "hosts.md"
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]
CLUSTER, ROLE = "hosts", "ecsInstanceRole"
IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
USER_DATA = f"#!/bin/sh\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\n"
DEADLINE = 120.0  # seconds


class Bench:
    """A Dryport, and clients of it."""

    def __init__(self, state: Path, port: int) -> None:
        self.state = state
        key = credentials.read(credentials.root_key_path(state))

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
            )

        self.ec2, self.ecs, self.ssm = client("ec2"), client("ecs"), client("ssm")
        make_roles(client("iam"))
        self.image = self.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
        self.ecs.create_cluster(clusterName=CLUSTER)

    def launch(self, count: int) -> tuple[float, list[str]]:
        """Seconds until so many new container instances are connected, and their EC2 instances' ids."""
        began = time.monotonic()
        launched = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="t3.micro",
            MinCount=count,
            MaxCount=count,
            UserData=USER_DATA,
            IamInstanceProfile={"Name": ROLE},
        )
        ids = {each["InstanceId"] for each in launched["Instances"]}
        while not ids <= self.connected():
            if time.monotonic() - began > DEADLINE:
                raise TimeoutError(f"not connected after {DEADLINE:.0f} s: {sorted(ids - self.connected())}")
            time.sleep(0.02)
        return time.monotonic() - began, sorted(ids)

    def connected(self) -> set[str]:
        """The EC2 instances whose agents are connected."""
        arns = self.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        if not arns:
            return set()
        found = self.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
        return {each["ec2InstanceId"] for each in found if each["agentConnected"]}

    def end(self, ids: list[str]) -> None:
        """Terminate instances and wait until they are gone."""
        self.ec2.terminate_instances(InstanceIds=ids)
        self.ec2.get_waiter("instance_terminated").wait(
            InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": int(DEADLINE)}
        )

    def memory(self, instance_id: str) -> tuple[float, float]:
        """MiB that an instance's cgroup is charged without page cache, and of its processes' PSS."""
        group = Path(f"/sys/fs/cgroup/memory/dryport/{load(self.state).id}/{instance_id}")
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        charged = int((group / "memory.usage_in_bytes").read_text()) - int(stat["total_cache"])
        pss = 0
        for procs in group.rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                pss += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        return charged / 2**20, pss / 2**10


def table(rounds: list[float], together: float, at_once: int, memory: list[tuple[float, float]]) -> str:
    """The results as Markdown."""
    charged, pss = (statistics.median(each[i] for each in memory) for i in (0, 1))
    load_average = os.getloadavg()[0]
    return (
        "# Hosts\n\n"
        f"`python bench/hosts.py`, {os.cpu_count()} CPUs, Linux {machine.release()}, {time.strftime('%Y-%m-%d')}, "
        f"load average at the end {load_average:.1f}.\n\n"
        "| | measured | at most |\n|---|---|---|\n"
        f"| RunInstances to connected, median of {len(rounds)} | {statistics.median(rounds):.2f} s | 3 s |\n"
        f"| the same, slowest | {max(rounds):.2f} s | |\n"
        f"| {at_once} at once, until all are connected | {together:.1f} s | 15 s |\n"
        f"| memory of an idle one, charged without page cache | {charged:.0f} MiB | 150 MB |\n"
        f"| memory of an idle one, PSS of its processes | {pss:.0f} MiB | 150 MB |\n"
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--port", type=int, default=4599)
    arguments = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="dp-hosts-", dir="/tmp"))
    subprocess.run([*DRYPORT, "up", "--detach", "--state-dir", state, "--port", str(arguments.port)], check=True)
    try:
        bench = Bench(state, arguments.port)
        bench.end(bench.launch(1)[1])  # makes the root volume that the others are copies of
        rounds = []
        for _ in range(arguments.rounds):
            seconds, ids = bench.launch(1)
            rounds.append(seconds)
            bench.end(ids)
        together, ids = bench.launch(arguments.at_once)
        time.sleep(5)  # idle
        memory = [bench.memory(each) for each in ids]
        bench.end(ids)
        text = table(rounds, together, arguments.at_once, memory)
        print(text)
        RESULTS.write_text(text)
        print(json.dumps({"rounds": rounds, "memory": memory}))
    finally:
        subprocess.run([*DRYPORT, "down", "--state-dir", state], check=True)
        shutil.rmtree(state)


if __name__ == "__main__":
    main()
