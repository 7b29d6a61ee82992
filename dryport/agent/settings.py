"""What the agent was told: by options, and by the environment (``environment``). Options win."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dryport.agent.environment import LEVELS, read
from dryport.agent.runtime import RegistryAuth


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one agent. Durations are seconds, memory MiB; ``endpoint`` is the control plane's.

    Defaults are those of AWS's agent as the service that starts it on AWS's images has them.
    """

    endpoint: str
    state_dir: Path
    cluster: str = "default"
    runtime: str = "docker"  # containerd, docker
    runtime_address: Path | None = None  # the daemon's socket; None: Docker's usual one
    runtime_root: Path | None = None  # containerd's directory of registry hosts
    file_systems: Path = Path("/run/dryport/filesystems")  # where the control plane has EFS file systems mounted
    region: str = "us-east-1"
    credentials_file: Path | None = None
    managed_identity: Path | None = None  # of a machine that joined by an activation
    task_endpoint: str = ""  # the control plane as tasks reach it; "": ``endpoint``
    attributes: dict[str, str] = {}
    instance_tags: dict[str, str] = {}
    propagate_tags_from: str = "none"  # none, ec2_instance
    availability_zone: str = ""
    cpu: int | None = None  # CPU units to offer; None: the machine's
    memory: int | None = None  # MiB to offer; None: the machine's
    reserved_memory: int = 0
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
    reserved_ports_udp: tuple[int, ...] = ()
    logging_drivers: tuple[str, ...] = ("json-file", "syslog", "awslogs", "none")
    dynamic_host_ports: tuple[int, int] | None = None  # first and last; None: the kernel's range
    exclude_ipv6_bindings: bool = True
    stop_timeout: float = 30.0
    start_timeout: float = 180.0
    create_timeout: float = 240.0
    pull_timeout: float = 2 * 3600.0
    task_cleanup_wait: float = 3 * 3600.0
    task_cleanup_jitter: float = 0.0
    image_cleanup: bool = True
    image_cleanup_interval: float = 30 * 60.0
    image_minimum_age: float = 3600.0
    images_per_cycle: int = 5
    untracked_cleanup: bool = False
    untracked_image_age: float = 3600.0
    untracked_excluded: tuple[str, ...] = ()
    image_pull_behavior: str = "default"  # default, always, once, prefer-cached
    registry_auth_type: str = ""  # docker, dockercfg; "": ``registry_auth`` is not used
    registry_auth: dict[str, RegistryAuth] = {}
    disable_privileged: bool = False
    selinux: bool = False
    apparmor: bool = False
    task_roles: bool = True
    task_roles_network_host: bool = True
    awslogs_execution_role: bool = True
    task_limits: bool = True
    task_pids: int | None = None
    container_metadata: bool = False
    gpu_support: bool | None = None  # None: where the machine has GPUs
    nvidia_runtime: str = "nvidia"  # Docker's name of the runtime that gives containers GPUs
    metrics: bool = True
    metrics_interval: float = 5.0
    task_eni: bool = True  # whether tasks of an EC2 instance can have interfaces of their own
    ebs_volumes: bool = True  # whether tasks of an EC2 instance can have EBS volumes
    block_instance_metadata: bool = False  # whether those are kept from the instance's metadata
    metadata_port: int = 51679
    introspection_port: int = 51678
    log_level: str = "INFO"
    log_file: str = ""
    log_file_level: str | None = None  # None: ``log_level``; "": nothing goes to the file
    log_rollover: str = "hourly"  # hourly, size
    log_megabytes: int = 10
    log_files: int = 24
    log_format: str = "logfmt"  # logfmt, json
    warnings: tuple[str, ...] = ()  # of what it was told and does not do

    @property
    def slug(self) -> str:
        """Six hexadecimal digits that name this agent's things on the machine."""
        return hashlib.sha256(str(self.state_dir.resolve()).encode()).hexdigest()[:6]

    @property
    def cgroup(self) -> str:
        """Of this agent, where it runs on the machine itself, with what it starts beside the tasks."""
        return f"dryport-agent-{self.slug}"


def load(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from options and environment. Ends the program with a message where they are wrong (SystemExit)."""
    parser = _parser()
    options = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    try:
        found = read(environment)
        merged: dict[str, Any] = found.settings | {"warnings": tuple(found.warnings)} | options
        missing = [name for name in ("endpoint", "state_dir") if not merged.get(name)]
        if missing:
            raise ValueError(f"--{missing[0].replace('_', '-')} is missing")
        return msgspec.convert(merged, Settings, strict=False, dec_hook=lambda type, value: type(value))
    except (ValueError, msgspec.ValidationError, msgspec.DecodeError) as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("dryport.agent", description="The container agent of Dryport.")
    parser.add_argument("--endpoint", help="URL of the control plane (ECS_BACKEND_HOST)")
    parser.add_argument("--state-dir", help="where the agent keeps what it must remember (ECS_DATADIR)")
    parser.add_argument("--cluster", help="cluster to join (ECS_CLUSTER)")
    parser.add_argument("--runtime", choices=["containerd", "docker"])
    parser.add_argument("--runtime-address", help="the runtime's socket")
    parser.add_argument("--runtime-root", help="containerd's directory of registry hosts")
    parser.add_argument("--file-systems", help="where EFS file systems are, by their ids")
    parser.add_argument("--region", help="AWS region (AWS_DEFAULT_REGION)")
    parser.add_argument("--credentials", dest="credentials_file", help="JSON file with the agent's access key")
    parser.add_argument("--managed-identity", help="JSON file with the identity that an activation gave")
    parser.add_argument("--task-endpoint", help="URL at which tasks reach the control plane")
    parser.add_argument("--attributes", type=_object, help="attributes as a JSON object (ECS_INSTANCE_ATTRIBUTES)")
    parser.add_argument("--instance-tags", type=_object, help="tags (ECS_CONTAINER_INSTANCE_TAGS)")
    parser.add_argument("--availability-zone")
    parser.add_argument("--cpu", type=int, help="CPU units to offer instead of the machine's")
    parser.add_argument("--memory", type=int, help="MiB to offer instead of the machine's")
    parser.add_argument("--metadata-port", type=int, help="127.0.0.1 port of the host's metadata server (Docker)")
    parser.add_argument("--introspection-port", type=int, help="127.0.0.1 port of the introspection server")
    parser.add_argument("--log-level", type=str.upper, choices=sorted({*LEVELS.values()}))
    return parser


def _object(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"no JSON object of strings: {error}") from error
