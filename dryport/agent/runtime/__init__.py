"""Where containers run: a small interface with two implementations, Docker Engine and containerd.

``interface`` is what the engine sees.
"""

from dryport.agent.runtime.interface import (
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ExecResult,
    Exited,
    Image,
    LogLine,
    Mount,
    PullError,
    RegistryAuth,
    Resources,
    Runtime,
    RuntimeFailure,
    Sandboxes,
    SandboxSpec,
    Ulimit,
    User,
)

__all__ = [
    "ContainerSpec",
    "ContainerState",
    "ContainerStats",
    "ExecResult",
    "Exited",
    "Image",
    "LogLine",
    "Mount",
    "PullError",
    "RegistryAuth",
    "Resources",
    "Runtime",
    "RuntimeFailure",
    "SandboxSpec",
    "Sandboxes",
    "Ulimit",
    "User",
]
