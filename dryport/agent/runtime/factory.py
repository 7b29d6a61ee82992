"""Makes the runtime that a container host is configured for."""

from __future__ import annotations

from pathlib import Path

from dryport.agent.runtime.image_gc import Cleanup
from dryport.agent.runtime.interface import Runtime

NAMES = ("containerd", "docker")
_CLEANUP = Cleanup()


def make(
    name: str,
    state_dir: Path,
    *,
    instance_id: str,
    containerd_socket: Path | None = None,
    containerd_registries: Path | None = None,
    docker_socket: str = "/var/run/docker.sock",
    exclude_ipv6_bindings: bool = True,
    nvidia_runtime: str = "nvidia",
    cleanup: Cleanup = _CLEANUP,
) -> Runtime:
    """The runtime ``name`` (one of ``NAMES``), with its files below ``state_dir``, for one agent at a time.

    ``instance_id`` marks the containers of this agent where several share a daemon. ``containerd_socket`` and
    ``containerd_registries`` are where ``dryport.platform.containerd`` put them.
    """
    home = state_dir / "runtime" / name
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Only what is used is loaded: an agent needs one of the two.
    if name == "containerd":
        from dryport.agent.runtime.containerd.runtime import ContainerdRuntime

        if containerd_socket is None or containerd_registries is None:
            raise ValueError("the containerd runtime needs containerd's socket and its registries directory")
        return ContainerdRuntime(home, containerd_socket, containerd_registries, cleanup)
    if name == "docker":
        from dryport.agent.runtime.docker.runtime import DockerRuntime

        return DockerRuntime(
            home,
            docker_socket,
            instance_id=instance_id,
            cleanup=cleanup,
            exclude_ipv6=exclude_ipv6_bindings,
            nvidia_runtime=nvidia_runtime,
        )
    raise ValueError(f"no runtime {name!r}: one of {', '.join(NAMES)}")
