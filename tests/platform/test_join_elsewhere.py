"""``dryport join`` from a machine that cannot be called: it stands behind a router that translates its address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.conftest import Platform
from tests.platform.support import docker, eventually

pytestmark = pytest.mark.platform
# Documentation's networks (RFC 5737): nobody else's.
HERE, OUTSIDE = "198.51.100.1", "198.51.100.2"
ROUTER, MACHINE = "192.0.2.1", "192.0.2.2"


class Wire:
    """This machine, a router, and another machine behind it, as network namespaces."""

    def __init__(self) -> None:
        self.router, self.machine = f"dpt-router-{os.getpid()}", f"dpt-away-{os.getpid()}"

    def lay(self) -> None:
        outer, inner = "dpt-out", "dpt-in"
        for name in (self.router, self.machine):
            _run("ip", "netns", "add", name)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", "wan", "netns", self.router)
        _run(
            "ip", "-n", self.machine, "link", "add", inner, "type", "veth", "peer", "name", "lan", "netns", self.router
        )
        _run("ip", "addr", "add", f"{HERE}/30", "dev", outer)
        _run("ip", "link", "set", outer, "up")
        for name, device, address in (
            (self.router, "wan", OUTSIDE),
            (self.router, "lan", ROUTER),
            (self.machine, inner, MACHINE),
        ):
            _run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", device)
            _run("ip", "-n", name, "link", "set", device, "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", self.machine, "route", "add", "default", "via", ROUTER)
        _run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        hook = "{ type nat hook postrouting priority srcnat; }"
        rules = f"add table ip t; add chain ip t post {hook}; add rule ip t post oif wan masquerade"
        _run("ip", "netns", "exec", self.router, "nft", rules)

    def take_away(self) -> None:
        for name in (self.router, self.machine):
            subprocess.run(["ip", "netns", "del", name], check=False)  # the links end with them


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    try:
        made.lay()
        yield made
    finally:
        made.take_away()


@pytest.fixture
def listening(wire: Wire) -> Iterator[Platform]:
    """A Dryport of its own that answers at an address which the router reaches."""
    made = Platform(Path(tempfile.mkdtemp(prefix="dpe-", dir="/tmp")))
    try:
        made.dryport("up", "--detach", "--port", str(made.port), "--listen", HERE)
        yield made
    finally:
        made.down()
        shutil.rmtree(made.state_dir, ignore_errors=True)


def test_a_machine_behind_nat_joins_and_runs_tasks(listening: Platform, wire: Wire, busybox: str) -> None:
    ecs = listening.client("ecs")
    ecs.create_cluster(clusterName="away")
    state = Path(tempfile.mkdtemp(prefix="dpj-", dir="/tmp"))
    join = [sys.executable, "-m", "dryport.cli.main", "join", f"http://{HERE}:{listening.port}", "--cluster", "away"]
    environment = {**os.environ, **listening.aws_environment()}
    del environment["AWS_ENDPOINT_URL"]
    with (state / "log").open("wb") as output:
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{wire.machine}", *join, "--state-dir", str(state)],
            env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        arn = eventually(lambda: ecs.list_container_instances(cluster="away")["containerInstanceArns"])[0]
        instance = ecs.describe_container_instances(cluster="away", containerInstances=[arn])["containerInstances"][0]
        assert eventually(lambda: instance["agentConnected"] or _connected(listening, arn))
        container = {"name": "main", "image": busybox, "memory": 32, "command": ["sleep", "600"]}
        ecs.register_task_definition(
            family="away", requiresCompatibilities=["EXTERNAL"], networkMode="none", containerDefinitions=[container]
        )
        task = ecs.run_task(cluster="away", taskDefinition="away", launchType="EXTERNAL")["tasks"][0]["taskArn"]
        eventually(lambda: _status(listening, task) == "RUNNING")
        ecs.stop_task(cluster="away", task=task)
        eventually(lambda: _status(listening, task) == "STOPPED")
        # Nothing but the router's address was seen of it.
        lines = (listening.state_dir / "log" / "requests.jsonl").read_bytes().splitlines()
        entries = [msgspec.json.decode(line) for line in lines]
        seen = {each["ip"] for each in entries if each.get("operation") == "RegisterContainerInstance"}
        assert OUTSIDE in seen and MACHINE not in {each["ip"] for each in entries}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        left = docker("ps", "-aq", "--filter", f"ancestor={busybox}").split()
        if left:
            docker("rm", "-f", *left)
        shutil.rmtree(state, ignore_errors=True)


def _connected(platform: Platform, arn: str) -> bool:
    found = platform.client("ecs").describe_container_instances(cluster="away", containerInstances=[arn])
    return bool(found["containerInstances"][0]["agentConnected"])


def _status(platform: Platform, arn: str) -> str:
    found: str = platform.client("ecs").describe_tasks(cluster="away", tasks=[arn])["tasks"][0]["lastStatus"]
    return found


def test_an_address_that_is_not_the_machines_is_refused(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    for address, words in {"192.0.2.200": "does not have the address", "example": "is no IP address"}.items():
        done = platform.dryport("up", "--detach", "--listen", address, check=False)
        assert done.returncode and words in done.stderr
