"""A containerd of Dryport's own: its configuration, its arguments, and whether it answers.

Root, state and socket lie in the state directory, so that it meets no other containerd of the machine. The supervisor
writes the configuration, starts ``argv`` and waits for ``ready``. It may be killed and started again at any time:
running containers do not notice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

# The CRI plug-in is there for its image service alone: pulls, unpacking and credentials inside the daemon. Its stream
# server cannot be turned off in 1.6; it takes a random port of loopback and serves nothing without a pod.
_CONFIG = """version = 2
root = "{root}"
state = "{state}"
oom_score = -999
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{registries}"

[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "{state}/no-cni"
"""


def directory(state_dir: Path) -> Path:
    """Everything of containerd's, under Dryport's state directory."""
    return state_dir / "containerd"


def socket(state_dir: Path) -> Path:
    """Where it listens (0660 root; ``run/`` is 0700). A socket's path must stay under 108 bytes."""
    return state_dir / "run" / "containerd.sock"


def registries(state_dir: Path) -> Path:
    """The directory in which the runtime names registries that speak plain HTTP."""
    return directory(state_dir) / "registries"


def write_config(state_dir: Path) -> Path:
    """Write the configuration (idempotent) and make its directories; the configuration's path."""
    home = directory(state_dir)
    for place in (home, registries(state_dir), socket(state_dir).parent):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = home / "config.toml"
    file.write_text(
        _CONFIG.format(
            root=home / "root", state=home / "state", socket=socket(state_dir), registries=registries(state_dir)
        )
    )
    return file


def argv(state_dir: Path) -> list[str]:
    """How to start it, after ``write_config``."""
    return ["containerd", "--config", str(directory(state_dir) / "config.toml"), "--log-level", "warn"]


async def ready(state_dir: Path, timeout: float = 10.0) -> bool:
    """Wait until it answers; False if it has not within ``timeout`` seconds."""
    # Here, because whoever only starts it should not wait for grpclib.
    from dryport.agent.runtime.containerd.client import Client
    from dryport.agent.runtime.interface import RuntimeFailure

    client = Client(socket(state_dir))
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        while True:
            try:
                await client.version()
                return True
            except RuntimeFailure:
                if asyncio.get_running_loop().time() > deadline:
                    return False
                await asyncio.sleep(0.02)
    finally:
        client.close()
