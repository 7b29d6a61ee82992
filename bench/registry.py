"""Push and pull with skopeo: Dryport's registry against Debian's ``docker-registry``, in turns, in one run.

``python bench/registry.py [--rounds 5] [--megabytes 500] [--layers 50]`` prints a table and keeps it in
``bench/results/registry.md``. Every round pushes new content, so that nothing is skipped as already there. Both keep
their blobs on the same disk; skopeo reads and writes in memory (/dev/shm), so that its own files do not count.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from dryport.control.config import Config, save
from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "registry.md"
MEMORY = Path("/dev/shm")
MIB = 1 << 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def stored(data: bytes) -> bytes:
    """Gzip without compression: the right magic number, so that skopeo sends it as it is, and no time lost."""
    packer = zlib.compressobj(level=0, wbits=31)
    return packer.compress(data) + packer.flush()


def make_layout(directory: Path, layers: int, size: int) -> None:
    """An OCI layout with an image of random layers."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    made = [add(stored(os.urandom(size)), "application/vnd.oci.image.layer.v1.tar+gzip") for _ in range(layers)]
    diffs = [layer["digest"] for layer in made]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
    kind = "application/vnd.oci.image"
    document = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": add(json.dumps(config).encode(), f"{kind}.config.v1+json"),
        "layers": made,
    }
    manifest = add(json.dumps(document).encode(), f"{kind}.manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "it"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


class Server(ABC):
    """A registry process under test."""

    name = ""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch / self.name
        self.scratch.mkdir()
        self.port = free_port()
        self.process = self.start()
        wait_for(self.port)

    @abstractmethod
    def start(self) -> subprocess.Popen[bytes]:
        """Start it on ``port``."""

    @abstractmethod
    def target(self) -> tuple[str, str]:
        """A new image's address, and credentials or nothing."""

    def status(self, field: str) -> float:
        """A memory figure of the process, in MiB (``VmRSS``, ``VmHWM``)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class DockerRegistry(Server):
    name = "docker-registry"

    def start(self) -> subprocess.Popen[bytes]:
        config = self.scratch / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.scratch}/data}}, cache: {{blobdescriptor: inmemory}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}', secret: bench}}\n"
        )
        command = ["docker-registry", "serve", str(config)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def target(self) -> tuple[str, str]:
        return f"localhost:{self.port}/bench:{time.monotonic_ns()}", ""


class Dryport(Server):
    """The control plane as ``dryport up`` starts it, without the processes that run tasks."""

    name = "Dryport"

    def start(self) -> subprocess.Popen[bytes]:
        self.config = Config(state_dir=self.scratch / "state", port=self.port)
        for directory in (self.config.state_dir, self.config.log_dir, self.config.run_dir):
            directory.mkdir(mode=0o700)
        save(self.config)
        command = [sys.executable, "-m", "dryport.platform.control_plane", "--state-dir", str(self.config.state_dir)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @cached_property
    def uri(self) -> str:
        """A repository's address."""
        made: str = self.client.create_repository(repositoryName="bench")["repository"]["repositoryUri"]
        return made

    @cached_property
    def client(self) -> Any:
        key = credentials.read(credentials.root_key_path(self.config.state_dir))
        return boto3.client(
            "ecr",
            region_name="us-east-1",
            endpoint_url=self.config.endpoint,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    def target(self) -> tuple[str, str]:
        token = self.client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        return f"{self.uri}:{time.monotonic_ns()}", base64.b64decode(token).decode()


def skopeo(*arguments: str) -> float:
    """Seconds that a copy takes."""
    began = time.perf_counter()
    command = ["skopeo", "--insecure-policy", "copy", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])}: {done.stderr}")
    return time.perf_counter() - began


Times = dict[tuple[str, str], list[float]]


def push(server: Server, layout: Path) -> tuple[float, tuple[str, str]]:
    """Seconds of a push, and where the image is now."""
    address, credentials = server.target()
    login = ["--dest-creds", credentials] if credentials else []
    seconds = skopeo("--dest-tls-verify=false", *login, f"oci:{layout}:it", f"docker://{address}")
    return seconds, (address, credentials)


def pull(image: tuple[str, str], back: Path) -> float:
    address, credentials = image
    login = ["--src-creds", credentials] if credentials else []
    seconds = skopeo("--src-tls-verify=false", *login, f"docker://{address}", f"dir:{back}")
    shutil.rmtree(back)
    return seconds


def measure(servers: list[Server], scratch: Path, rounds: int, jobs: dict[str, tuple[int, int]]) -> Times:
    times: Times = {}
    for number in range(rounds):
        # Whoever comes second finds a warmer client: take turns.
        order = servers if number % 2 else servers[::-1]
        for job, (layers, size) in jobs.items():
            make_layout(scratch / "layout", layers, size)
            pushed = {}
            for server in order:
                os.sync()
                seconds, pushed[server.name] = push(server, scratch / "layout")
                times.setdefault((f"push {job}", server.name), []).append(seconds)
            shutil.rmtree(scratch / "layout")
            os.sync()
            for server in (*order, *order[::-1]):
                seconds = pull(pushed[server.name], scratch / "back")
                times.setdefault((f"pull {job}", server.name), []).append(seconds)
        print(f"round {number + 1} of {rounds}", flush=True)
    return times


def report(times: Times, rounds: int, memory: dict[str, list[str]]) -> str:
    ours, theirs = Dryport.name, DockerRegistry.name
    lines = [
        "# Registry: push and pull with skopeo",
        "",
        f"Medians of {rounds} rounds of one push and two pulls, in turns in one run, on {platform.machine()} with "
        f"{os.cpu_count()} "
        f"processors. Ratio: {ours}'s time over {theirs}'s; below 1 is faster. Made by `python bench/registry.py`.",
        "",
        f"| | {ours} | {theirs} | ratio |",
        "|---|---|---|---|",
    ]
    for job in dict.fromkeys(job for job, _ in times):
        mine, other = (statistics.median(times[job, name]) for name in (ours, theirs))
        lines.append(f"| {job} | {mine:.2f} s | {other:.2f} s | {mine / other:.2f} |")
    for label, values in memory.items():
        lines.append(f"| {label} | {values[0]} | {values[1]} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--layers", type=int, default=50)
    arguments = parser.parse_args()
    jobs = {
        f"{arguments.layers} layers of 1 MB": (arguments.layers, MIB),
        f"one layer of {arguments.megabytes} MB": (1, arguments.megabytes * MIB),
    }
    disk = Path(tempfile.mkdtemp(prefix="dryport-bench-registry-"))
    memory = Path(tempfile.mkdtemp(prefix="dryport-bench-registry-", dir=MEMORY))
    servers: list[Server] = []
    try:
        servers += [Dryport(disk), DockerRegistry(disk)]
        servers[0].target()
        idle = [f"{server.status('VmRSS'):.0f} MiB" for server in servers]
        times = measure(servers, memory, arguments.rounds, jobs)
        figures = {
            "resident, idle at the start": idle,
            "resident, peak": [f"{server.status('VmHWM'):.0f} MiB" for server in servers],
            "processor time in all": [f"{server.processor_seconds():.1f} s" for server in servers],
        }
        text = report(times, arguments.rounds, figures)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text)
        print(text)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(disk)
        shutil.rmtree(memory)


if __name__ == "__main__":
    main()
