"""Three ways to run Fargate's containers, measured before one was chosen: the table of docs/runtime.md.

    .venv/bin/python bench/runtimes.py [--runs 10]

The image is unpacked and the network namespace there. Launch: from the call to the container's first instruction.
Processor time: of everything but the container, a launch. Memory: what stays beside each container (PSS).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dryport.agent.runtime.cgroups import Cgroups
from dryport.platform import containerd
from tests.agent_runtime.registry import Registry, base

NAMESPACE = "dryport-bench-runtimes"
GROUP = "/dryport-bench-runtimes"


class Ways:
    """The ways; each launches the container ``name`` and returns once it was told to run."""

    def __init__(self, home: Path, reference: str) -> None:
        self.home = home
        self.reference = reference
        self.socket = str(containerd.socket(home))

    def ctr(self, name: str) -> None:
        """containerd and its shim, through its own client."""
        command = ["ctr", "-a", self.socket, "run", "-d", "--with-ns", f"network:/run/netns/{NAMESPACE}"]
        mount = ["--mount", f"type=bind,src={self.home}/said,dst=/said,options=rbind:rw"]
        run(*command, *mount, self.reference, name, "/bin/sh", "-c", script(name))

    def runc(self, name: str) -> None:
        """runc alone: nobody keeps the output or the exit code."""
        run("runc", f"--root={self.home}/runc", "run", "-d", "-b", str(self.bundle(name)), name)

    def conmon(self, name: str) -> None:
        """conmon and runc."""
        bundle = self.bundle(name)
        reading, writing = os.pipe()
        options = ["--api-version=1", "-c", name, "-u", name, "-n", name, "-r", shutil.which("runc") or "runc"]
        options += ["--runtime-arg", f"--root={self.home}/runc", "-b", str(bundle), "-p", f"{bundle}/pid"]
        options += ["-P", f"{bundle}/conmon.pid", "--exit-dir", str(self.home), "-l", f"k8s-file:{bundle}/log"]
        environment = {**os.environ, "_OCI_SYNCPIPE": str(writing)}
        subprocess.run(
            ["conmon", *options, "--no-sync-log", "--socket-dir-path", str(bundle)],
            env=environment,
            pass_fds=(writing,),
            check=True,
        )
        os.close(writing)
        answer = os.read(reading, 4096)
        os.close(reading)
        if b'"data": -1' in answer or b'"data":-1' in answer:
            raise SystemExit(answer.decode())
        run("runc", f"--root={self.home}/runc", "start", name)

    def bundle(self, name: str) -> Path:
        """An OCI bundle on an unpacked root, with the namespaces that ``ctr run`` takes."""
        made = self.home / "bundles" / name
        made.mkdir(parents=True)
        namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
        said = {"destination": "/said", "type": "bind", "source": f"{self.home}/said", "options": ["rbind", "rw"]}
        proc = {"destination": "/proc", "type": "proc", "source": "proc"}
        dev = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}
        config = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/sh", "-c", script(name)],
                "cwd": "/",
                "env": ["PATH=/bin"],
            },
            "root": {"path": f"{self.home}/root"},
            "mounts": [proc, dev, said],
            "linux": {"namespaces": [*namespaces, {"type": "network", "path": f"/run/netns/{NAMESPACE}"}]},
        }
        (made / "config.json").write_text(json.dumps(config))
        return made

    def clear(self) -> None:
        """Remove every container."""
        for name in self._listed("ctr", "-a", self.socket, "tasks", "list", "-q"):
            run("ctr", "-a", self.socket, "tasks", "rm", "-f", name)
        for name in self._listed("runc", f"--root={self.home}/runc", "list", "-q"):
            run("runc", f"--root={self.home}/runc", "delete", "-f", name)

    def _listed(self, *command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def script(name: str) -> str:
    """What a container does first."""
    return f"echo > /said/{name}; exec sleep 300"


def run(*command: str) -> None:
    """Run a command that has to succeed and keeps no pipe of ours."""
    nothing = subprocess.DEVNULL
    subprocess.run(command, check=True, stdin=nothing, stdout=nothing, stderr=nothing)


def measure(ways: Ways, launch: Callable[[str], None], label: str, helper: str, runs: int) -> str:
    """A row of the table."""
    seconds = []
    before, own = processor_seconds(), time.process_time()
    for number in range(runs):
        name = f"{label}{number}"
        said = ways.home / "said" / name
        began = time.perf_counter()
        launch(name)
        while not said.exists():
            time.sleep(0.0005)
        seconds.append(time.perf_counter() - began)
    spent = (processor_seconds() - before - (time.process_time() - own)) / runs
    memory = statistics.median(beside(helper)) if helper else 0
    ways.clear()
    return f"{statistics.median(seconds) * 1e3:.0f} ms | {spent * 1e3:.0f} ms | {memory / 1024:.1f} MiB |"


def processor_seconds() -> float:
    """What this script and all that it started used; containers are in cgroups of their own."""
    cgroups = Cgroups()
    if cgroups.unified:
        text = (cgroups.directory(GROUP, "cpu") / "cpu.stat").read_text()
        return int(text.split()[1]) / 1e6
    return int((cgroups.directory(GROUP, "cpuacct") / "cpuacct.usage").read_text()) / 1e9


def beside(helper: str) -> list[int]:
    """PSS in KiB of our processes of a program."""
    found = []
    for pid in Cgroups().processes(GROUP):
        if helper in Path(f"/proc/{pid}/comm").read_text():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found.append(int(text.split("Pss:")[1].split()[0]))
    return found


def pulls(home: Path, registry: Registry) -> tuple[float, float]:
    """Seconds to pull and unpack a fresh image of 30 MB: containerd, and skopeo with umoci."""
    from tests.agent_runtime.registry import Layer

    registry.push("big", [base(), Layer(files={"big": os.urandom(30_000_000)})])
    began = time.perf_counter()
    run("ctr", "-a", str(containerd.socket(home)), "images", "pull", "--plain-http", f"{registry.loopback}/big:1")
    middle = time.perf_counter()
    source, layout = f"docker://{registry.loopback}/big:1", f"{home}/layout"
    run("skopeo", "copy", "--src-tls-verify=false", source, f"oci:{layout}:1")
    run("umoci", "unpack", "--image", f"{layout}:1", f"{home}/unpacked")
    return middle - began, time.perf_counter() - middle


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    home = Path(tempfile.mkdtemp(prefix="dpb-", dir="/tmp"))
    for name in ("said", "root"):
        (home / name).mkdir()
    cgroups = Cgroups()
    for directory in cgroups.directories(GROUP):
        directory.mkdir(exist_ok=True)
    for controller in ("cpuacct", "pids"):
        (cgroups.directory(GROUP, controller) / "cgroup.procs").write_text(str(os.getpid()))
    run("ip", "netns", "add", NAMESPACE)
    registry = Registry(home / "registry")
    registry.push("app", [base()])
    subprocess.run(["tar", "-x", "-C", str(home / "root")], input=base().tar(), check=True)
    containerd.write_config(home)
    daemon = subprocess.Popen(containerd.argv(home), stdout=subprocess.DEVNULL, stderr=(home / "log").open("w"))
    ways = Ways(home, f"{registry.loopback}/app:1")
    try:
        while subprocess.run(["ctr", "-a", ways.socket, "version"], capture_output=True).returncode:
            time.sleep(0.05)
        run("ctr", "-a", ways.socket, "images", "pull", "--plain-http", ways.reference)
        by_containerd, by_tools = pulls(home, registry)
        print("| | launch | processor time | memory | pull of 30 MB |\n|---|---|---|---|---|")
        row = measure(ways, ways.ctr, "a", "containerd-shim", runs)
        print(f"| (a) containerd with its shim (`ctr run -d`) | {row} {by_containerd:.2f} s |")
        row = measure(ways, ways.conmon, "b", "conmon", runs)
        print(f"| (b) containerd's images, conmon and runc | {row} {by_containerd:.2f} s |")
        print(f"| (c) skopeo and umoci, conmon and runc | as (b) | | | {by_tools:.2f} s |")
        print(f"| runc alone | {measure(ways, ways.runc, 'r', '', runs)} |")
    finally:
        ways.clear()
        daemon.terminate()
        daemon.wait()
        registry.stop()
        run("ip", "netns", "delete", NAMESPACE)
        for controller in ("cpuacct", "pids"):
            (cgroups.directory("/", controller) / "cgroup.procs").write_text(str(os.getpid()))
        cgroups.remove(GROUP)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
