"""Daemons of the tests' own, which may be killed: containerd as Dryport starts it, and a second dockerd."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from dryport.agent.runtime import factory
from dryport.agent.runtime.interface import Runtime
from dryport.platform import containerd


class ContainerdHost:
    """A container host with Fargate's runtime."""

    name = "containerd"

    def __init__(self, home: Path) -> None:
        self.home = home
        containerd.write_config(home)
        self.start()

    def start(self) -> None:
        """Start the daemon and wait for it."""
        self._process = subprocess.Popen(
            containerd.argv(self.home), stdout=subprocess.DEVNULL, stderr=(self.home / "log").open("a")
        )
        assert asyncio.run(containerd.ready(self.home)), (self.home / "log").read_text()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def agent(self, instance_id: str = "test") -> Runtime:
        """The runtime of a new agent process."""
        return factory.make(
            "containerd",
            self.home,
            instance_id=instance_id,
            containerd_socket=containerd.socket(self.home),
            containerd_registries=containerd.registries(self.home),
        )

    def stop(self) -> None:
        """End it and leave nothing."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class DockerHost:
    """A container host with a dockerd of its own: its own bridge, no firewall rules.

    Not ``--bridge=none``: that removes the machine's docker0.
    """

    name = "docker"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "docker.sock"
        self._bridge = f"dpr{os.getpid() % 100_000}"
        _ip("link", "add", self._bridge, "type", "bridge")
        # Link-local: a run that is killed leaves the bridge, and it must not hide an address that others need.
        _ip("address", "add", "169.254.203.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        # As on a machine: containerd is a service of its own, and stays when dockerd goes.
        config = (
            f'version = 2\nroot = "{home}/cd"\nstate = "{home}/cds"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        )
        (home / "containerd.toml").write_text(f'{config}[grpc]\n  address = "{home}/containerd.sock"\n')
        self._containerd = subprocess.Popen(
            ["containerd", "--config", f"{home}/containerd.toml"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.start()

    def start(self) -> None:
        """Start the daemon and wait for it."""
        self._process = subprocess.Popen(
            [
                "dockerd",
                f"--data-root={self.home}/data",
                f"--exec-root={self.home}/exec",
                f"--pidfile={self.home}/pid",
                f"--containerd={self.home}/containerd.sock",
                f"--host=unix://{self.socket}",
                f"--bridge={self._bridge}",
                "--ip-forward=false",
                "--ip-masq=false",
                "--iptables=false",
                "--ip6tables=false",
                "--live-restore",
                "--log-level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.home / "log").open("a"),
        )
        for _ in range(300):
            done = subprocess.run(["docker", "-H", f"unix://{self.socket}", "version"], capture_output=True)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.home / "log").read_text())

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        (self.home / "pid").unlink(missing_ok=True)

    def agent(self, instance_id: str = "test") -> Runtime:
        """The runtime of a new agent process."""
        return factory.make("docker", self.home, instance_id=instance_id, docker_socket=str(self.socket))

    def stop(self) -> None:
        """End it, its containerd too, and leave nothing."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._containerd.terminate()
        self._containerd.wait()
        for line in Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{self.home}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        _ip("link", "delete", self._bridge)
        shutil.rmtree(self.home, ignore_errors=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


Host = ContainerdHost | DockerHost
