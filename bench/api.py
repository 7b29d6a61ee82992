"""Signed API requests a second: Dryport against ``moto_server``, the same requests, in turns, in one run.

``python bench/api.py --moto PATH/TO/moto_server [--rounds 3] [--seconds 5]`` prints a table and keeps it in
``bench/results/api.md``. ``pip install 'moto[server]'`` into an environment of its own gives ``moto_server``. wrk sends
requests that were signed beforehand (both servers get the same bytes but for names that they made up themselves);
Dryport checks each signature and has each write on disk before it answers; moto does neither.

Both serve one cluster with a task definition of one container and 100 tasks. moto's tasks are rows on a made-up
instance; Dryport's are in its store as RunTask leaves them (nothing runs them here: no agent is started), written by
RunTask itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from dryport.aws import sigv4

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "api.md"
TARGET = "AmazonEC2ContainerServiceV20141113"
TASKS = 100
CONNECTIONS = 32
REQUESTS = 1000  # signed ones that wrk goes through in a circle
OPERATIONS = ("DescribeTasks", "ListTasks", "RegisterTaskDefinition")
CONTAINER = {
    "name": "web",
    "image": "web:1",
    "memory": 64,
    "cpu": 10,
    "essential": True,
    "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
    "environment": [{"name": "STAGE", "value": "bench"}],
}
LUA = """
local requests, place = {}, 0
for line in io.lines("%s") do
  local headers = {}
  local authorization, date, target, body = line:match("^(.-)\\t(.-)\\t(.-)\\t(.*)$")
  headers["Authorization"], headers["X-Amz-Date"] = authorization, date
  headers["Host"] = "%s"
  headers["X-Amz-Target"], headers["Content-Type"] = target, "application/x-amz-json-1.1"
  requests[#requests + 1] = wrk.format("POST", "/", headers, body)
end
request = function()
  place = place %% #requests + 1
  return requests[place]
end
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process that answers on a port."""

    def __init__(self, name: str, command: list[str], port: int, key: tuple[str, str], output: Path) -> None:
        self.name = name
        self.port = port
        self.key = key
        self._output = output.open("wb")
        self.process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True)

    def wait(self) -> None:
        """Wait until it listens. Raises SystemExit."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} does not listen; see {self._output.name}")

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            config=ClientConfig(parameter_validation=False),
        )

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()


def start_moto(binary: str, scratch: Path) -> Server:
    port = free_port()
    return Server("moto", [binary, "-H", "127.0.0.1", "-p", str(port)], port, ("test", "test"), scratch / "moto.log")


def start_dryport(scratch: Path) -> Server:
    """The gateway with every room and the store; no loops, hence no root rights, no containers."""
    state, port = scratch / "state", free_port()
    state.mkdir()
    ready = scratch / "key.json"
    server = Server(
        "dryport",
        [sys.executable, str(ROOT / "bench" / "api_platform.py"), str(state), str(port), str(ready)],
        port,
        ("", ""),
        scratch / "dryport.log",
    )
    server.wait()
    server.key = tuple(json.loads(ready.read_text()))
    return server


def furnish_moto(server: Server) -> list[str]:
    """A cluster, an instance and the tasks; returns the tasks' ARNs."""
    ec2, ecs = server.client("ec2"), server.client("ecs")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ecs.create_cluster(clusterName="bench")
    ecs.register_task_definition(family="web", containerDefinitions=[CONTAINER])
    tasks: list[str] = []
    for _ in range(TASKS // 10):
        instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        document = {"instanceId": instance, "accountId": "123456789012", "region": "us-east-1", "imageId": image}
        ecs.register_container_instance(
            cluster="bench", instanceIdentityDocument=json.dumps(document), instanceIdentityDocumentSignature="x"
        )
        tasks += run(ecs, launchType="EC2")
    return tasks


def furnish_dryport(server: Server) -> list[str]:
    """A cluster and the tasks; returns the tasks' ARNs."""
    ec2, ecs = server.client("ec2"), server.client("ecs")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ecs.create_cluster(clusterName="bench")
    ecs.register_task_definition(
        family="web", containerDefinitions=[CONTAINER], requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
        cpu="256", memory="512",
    )  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": [subnet]}}
    return [arn for _ in range(TASKS // 10) for arn in run(ecs, launchType="FARGATE", networkConfiguration=network)]


def run(ecs: Any, **how: Any) -> list[str]:
    answer = ecs.run_task(cluster="bench", taskDefinition="web", count=10, **how)
    if len(answer["tasks"]) != 10:
        raise SystemExit(f"no tasks: {answer['failures']}")
    return [task["taskArn"] for task in answer["tasks"]]


def bodies(operation: str, tasks: list[str]) -> list[dict[str, Any]]:
    if operation == "DescribeTasks":
        return [{"cluster": "bench", "tasks": tasks}]
    if operation == "ListTasks":
        return [{"cluster": "bench"}]
    return [
        {"family": f"family-{number % 100}", "containerDefinitions": [CONTAINER | {"cpu": number}]}
        for number in range(10, 10 + REQUESTS)
    ]


def write_script(server: Server, operation: str, sent: list[dict[str, Any]], directory: Path) -> Path:
    """wrk's script, with freshly signed requests of these bodies."""
    lines = []
    for body in sent:
        text = json.dumps(body)
        target = f"{TARGET}.{operation}"
        headers = {
            "host": f"127.0.0.1:{server.port}",
            "x-amz-target": target,
            "content-type": "application/x-amz-json-1.1",
        }
        signed = sigv4.sign(
            "POST", "/", "", headers, text.encode(), access_key_id=server.key[0], secret=server.key[1], token=None,
            region="us-east-1", service="ecs", now=time.time(),
        )  # fmt: skip
        lines.append("\t".join((signed["authorization"], signed["x-amz-date"], target, text)))
    requests = directory / f"{server.name}-{operation}.txt"
    requests.write_text("\n".join(lines) + "\n")
    script = requests.with_suffix(".lua")
    script.write_text(LUA % (requests, f"127.0.0.1:{server.port}"))
    return script


def measure(server: Server, operation: str, tasks: list[str], directory: Path, seconds: int) -> float:
    """Requests a second of an operation. Raises SystemExit where an answer is not a good one."""
    script = write_script(server, operation, bodies(operation, tasks), directory)
    return wrk(server, script, operation, seconds)


def wrk(server: Server, script: Path, operation: str, seconds: int) -> float:
    """Requests a second of a script. Raises SystemExit where an answer is not a good one."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
    text = subprocess.run([*command, f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True, check=True)
    if "Non-2xx" in text.stdout or "Socket errors" in text.stdout:
        raise SystemExit(f"{server.name} {operation}:\n{text.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", text.stdout)
    assert found is not None, text.stdout
    return float(found[1])


def compare(moto: str, rounds: int, seconds: int, scratch: Path) -> str:
    """Run everything; returns the table."""
    servers = {"dryport": start_dryport(scratch), "moto": start_moto(moto, scratch)}
    try:
        servers["moto"].wait()
        tasks = {"dryport": furnish_dryport(servers["dryport"]), "moto": furnish_moto(servers["moto"])}
        rates: dict[tuple[str, str], list[float]] = {}
        memory: dict[str, float] = {}
        for _ in range(rounds):
            # Reads first: a thousand task definitions more would be a different question.
            for operation in OPERATIONS[:2]:
                for name, server in servers.items():
                    rate = measure(server, operation, tasks[name], scratch, seconds)
                    rates.setdefault((operation, name), []).append(rate)
        memory = {name: server.memory() for name, server in servers.items()}
        for _ in range(rounds):
            for name, server in servers.items():
                rate = measure(server, OPERATIONS[2], tasks[name], scratch, seconds)
                rates.setdefault((OPERATIONS[2], name), []).append(rate)
        after = {name: server.memory() for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()
    return table(rates, memory, after, rounds, seconds)


def table(
    rates: dict[tuple[str, str], list[float]],
    memory: dict[str, float],
    after: dict[str, float],
    rounds: int,
    seconds: int,
) -> str:
    lines = [
        "# Signed API requests a second",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}; medians of {rounds} turns of {seconds} s, "
        f"wrk with {CONNECTIONS} connections on the same machine (`bench/api.py`).",
        f"The machine's load average was {os.getloadavg()[1]:.1f} in the last five minutes. After the writes Dryport, "
        "being faster, holds as many times more task definitions as it wrote.",
        "",
        "| | Dryport | moto_server | ratio |",
        "|---|---:|---:|---:|",
    ]
    for operation in OPERATIONS:
        ours, theirs = (statistics.median(rates[operation, name]) for name in ("dryport", "moto"))
        label = f"{operation} ({TASKS} tasks)" if operation != "RegisterTaskDefinition" else operation
        lines.append(f"| {label} | {ours:,.0f}/s | {theirs:,.0f}/s | {ours / theirs:.1f} × |")
    for label, found in (("resident, 100 tasks", memory), ("resident, after the writes", after)):
        ours, theirs = found["dryport"], found["moto"]
        lines.append(f"| {label} | {ours:.0f} MiB | {theirs:.0f} MiB | {theirs / ours:.1f} × less |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moto", help="path of moto_server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    if not arguments.moto:
        parser.error("--moto is needed")
    with tempfile.TemporaryDirectory(prefix="dryport-bench-") as scratch:
        text = compare(arguments.moto, arguments.rounds, arguments.seconds, Path(scratch))
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
