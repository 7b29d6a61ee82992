"""The runtime interface: what the task engine asks of whatever runs the containers.

Every verb is idempotent, and a container outlives the agent and the runtime's daemon. Sizes are bytes, times are
seconds since the epoch, durations seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import msgspec

PROXY_IMAGE = "dryport/service-connect"  # of Service Connect's proxies: the agent's own


class RuntimeFailure(Exception):
    """The runtime refused or failed. ``kind`` is the error name that ECS shows (``CannotStartContainerError``)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class PullError(RuntimeFailure):
    """An image could not be pulled; ``retryable`` where the registry may be better off later."""

    def __init__(self, message: str, *, retryable: bool = False, kind: str = "CannotPullContainerError") -> None:
        super().__init__(kind, message)
        self.retryable = retryable


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the interface's values."""


class RegistryAuth(Data, frozen=True, kw_only=True):
    """Basic credentials of a registry; never logged."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "RegistryAuth(…)"


class Image(Data, frozen=True, kw_only=True):
    """An image that is here: what was asked for, the digest of its manifest, and its configuration."""

    reference: str
    digest: str  # sha256:…
    entry_point: list[str] = []
    command: list[str] = []
    environment: dict[str, str] = {}
    working_directory: str = ""
    user: str = ""
    volumes: list[str] = []  # paths that the image declares as volumes
    stop_signal: str = "SIGTERM"
    health_check: dict[str, object] | None = None
    labels: dict[str, str] = {}


class User(Data, frozen=True, kw_only=True):
    """A user of a file system, by numbers."""

    uid: int
    gid: int
    secondary_gids: list[int] = []


class Mount(Data, frozen=True, kw_only=True):
    """A directory or file of the host, or with ``kind`` "tmpfs" memory, inside the container.

    ``fill``: an empty directory gets owner, mode and files of what the image has at ``target`` (containerd only).
    ``as_user``: what the container's own user does there is done as that one, and nobody else may write.
    """

    target: str
    source: str = ""
    kind: str = "bind"  # bind, tmpfs
    read_only: bool = False
    options: list[str] = []
    size: int | None = None  # tmpfs
    fill: bool = False
    as_user: User | None = None


class Ulimit(Data, frozen=True, kw_only=True):
    """A resource limit by its name without RLIMIT_, lower case (``nofile``)."""

    name: str
    soft: int
    hard: int


class Resources(Data, frozen=True, kw_only=True):
    """What binds a container. ``cgroup_parent`` is the task's cgroup, whose limits bind the whole task."""

    cgroup_parent: str = ""
    cpu_shares: int | None = None
    cpu_quota: float | None = None  # vCPUs
    cpuset: str | None = None
    memory: int | None = None  # hard limit
    memory_reservation: int | None = None  # soft limit
    swap: int | None = None  # memory plus swap, -1 unlimited
    swappiness: int | None = None
    pids: int | None = None
    shm_size: int | None = None


class ContainerSpec(Data, frozen=True, kw_only=True):
    """A container to be made. ``id`` is chosen by the engine and is unique on the host."""

    id: str
    name: str
    image: str
    argv: list[str] | None = None  # entry point and command, already merged with the image's
    environment: dict[str, str] = {}
    working_directory: str = ""
    user: str = ""
    hostname: str = ""
    labels: dict[str, str] = {}
    mounts: list[Mount] = []
    ulimits: list[Ulimit] = []
    resources: Resources = Resources()
    read_only_root: bool = False
    privileged: bool = False
    init: bool = False
    terminal: bool = False
    interactive: bool = False
    add_capabilities: list[str] = []
    drop_capabilities: list[str] = []
    devices: list[dict[str, object]] = []  # ECS's Device shape
    gpus: list[str] = []  # NVIDIA's ids
    sysctls: dict[str, str] = {}
    security_options: list[str] = []
    # Either a ready network namespace (a path), or a mode of Docker's: bridge, host, none, container:<id>.
    network: str = "none"
    published_ports: list[dict[str, object]] = []  # ECS's PortMapping shape, for bridge; ranges with hostPortRange
    dns_servers: list[str] = []
    dns_search: list[str] = []
    extra_hosts: list[dict[str, str]] = []  # ECS's HostEntry shape
    links: list[str] = []
    pid_mode: str = ""  # "", host, container:<id>
    ipc_mode: str = ""  # "", host, none, container:<id>
    log_driver: str = ""  # "": kept by the runtime for ``logs``; otherwise one of Docker's, run by Docker
    log_options: dict[str, str] = {}
    stop_signal: str = "SIGTERM"
    root_size: int | None = None  # bytes that the writable layer may hold, where the runtime can bound it


class SandboxSpec(Data, frozen=True, kw_only=True):
    """A container that holds a network namespace in which there is nothing yet. ``id`` is chosen by the engine."""

    id: str
    hostname: str = ""  # that of every container that joins it, too
    labels: dict[str, str] = {}


class ContainerState(Data, frozen=True, kw_only=True):
    """What a container is doing. ``status``: created, running, exited."""

    id: str
    status: str
    labels: dict[str, str] = {}
    pid: int | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    network_bindings: list[dict[str, object]] = []  # ECS's NetworkBinding shape
    address: str = ""  # its own in the bridge mode, while it runs


class Exited(Data, frozen=True, kw_only=True):
    """A container has ended."""

    id: str
    exit_code: int
    at: float
    out_of_memory: bool = False


class LogLine(Data, frozen=True, kw_only=True):
    """A line that a container printed. ``cursor`` resumes after it."""

    at: float
    stream: str  # stdout, stderr
    line: bytes  # without its newline
    cursor: str


class ExecResult(Data, frozen=True, kw_only=True):
    """What a command run inside a container gave; output is cut at 4 KiB."""

    exit_code: int
    output: bytes


class ContainerStats(Data, frozen=True, kw_only=True):
    """Counters as cgroups give them: CPU seconds used, bytes of memory in use, bytes and packets by direction."""

    at: float
    cpu_seconds: float
    online_cpus: int
    memory: int
    memory_limit: int
    received_bytes: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    sent_packets: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class Sandboxes(Protocol):
    """Network namespaces of a runtime that joins none but those of its own containers."""

    async def create(self, spec: SandboxSpec) -> None:
        """Make one; it may be there. Raises RuntimeFailure."""
        ...

    async def start(self, id: str) -> ContainerState:
        """Have it run, so that containers can join it as ``container:<id>``; its ``pid`` is in the namespace.

        Raises RuntimeFailure, also where it has run and ended: what joined it is in a namespace that is lost.
        """
        ...


class Runtime(Protocol):
    """Runs containers. ``sandboxes`` is ``None`` where they can join any namespace that is prepared."""

    name: str

    @property
    def sandboxes(self) -> Sandboxes | None: ...

    async def bridge(self) -> str:
        """The name of the link by which containers of the bridge mode reach this host; "" where there is none."""
        ...

    async def ping(self) -> str:
        """The daemon's version. Raises RuntimeFailure where it is away."""
        ...

    async def pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        """Fetch an image, or the newer one behind its tag; concurrent pulls of one image share the work.

        Raises PullError with the registry's own words.
        """
        ...

    async def image(self, reference: str) -> Image | None:
        """An image that is here already."""
        ...

    async def load(self, reference: str, digest: str, root: Path, argv: list[str]) -> Image:
        """Have an image that is what is in a directory, which stays, and runs ``argv``. Raises RuntimeFailure."""
        ...

    async def create(self, spec: ContainerSpec) -> None:
        """Make a container; one of the same id and spec is left as it is. Raises RuntimeFailure.

        A network namespace that it names must exist; what is in it is asked for only by ``start``.
        """
        ...

    async def start(self, id: str) -> ContainerState:
        """Start it; a running one is left alone, one that has ended runs again with what it has written to its root.

        Returns once the first instruction can run.
        """
        ...

    async def signal(self, id: str, signal: str) -> None:
        """Send a signal to its first process; nothing where it no longer runs."""
        ...

    async def remove(self, id: str) -> None:
        """Kill it if it runs and delete it with its logs and writable layer."""
        ...

    async def inspect(self, id: str) -> ContainerState | None:
        """What it is doing; ``None`` where there is none."""
        ...

    async def containers(self) -> list[ContainerState]:
        """Every container that was made through this agent, whatever its state."""
        ...

    def exits(self) -> AsyncIterator[Exited]:
        """Ends of containers as they happen; goes on through restarts of the daemon, may repeat one."""
        ...

    async def execute(self, id: str, argv: list[str], timeout: float) -> ExecResult:
        """Run a command inside. Raises TimeoutError after ``timeout`` (the command is then killed)."""
        ...

    def logs(self, id: str, cursor: str = "", *, follow: bool = False) -> AsyncIterator[LogLine]:
        """Its output after ``cursor``, of all its runs; with ``follow`` until it has ended and all has been given."""
        ...

    async def stats(self, id: str) -> ContainerStats | None:
        """Its counters now; ``None`` where it does not run."""
        ...

    async def close(self) -> None:
        """Let go of the daemon; containers go on."""
        ...
