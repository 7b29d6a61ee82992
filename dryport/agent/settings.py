"""What the agent was told: by options, and by the environment in the names that AWS's agent uses.

Source: "Amazon ECS container agent configuration", developer guide. Options win over the environment.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one agent. Durations are seconds, memory MiB; ``endpoint`` is the control plane's."""

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
    availability_zone: str = ""
    cpu: int | None = None  # CPU units to offer; None: the machine's
    memory: int | None = None  # MiB to offer; None: the machine's
    reserved_memory: int = 0
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
    reserved_ports_udp: tuple[int, ...] = ()
    logging_drivers: tuple[str, ...] = ("json-file", "none")
    stop_timeout: float = 30.0
    start_timeout: float = 180.0
    task_cleanup_wait: float = 3 * 3600.0
    image_pull_behavior: str = "default"  # default, always, once, prefer-cached
    disable_privileged: bool = False
    metadata_port: int = 51679
    introspection_port: int = 51678
    log_level: str = "INFO"

    @property
    def slug(self) -> str:
        """Six hexadecimal digits that name this agent's things on the machine."""
        return hashlib.sha256(str(self.state_dir.resolve()).encode()).hexdigest()[:6]


def duration(text: str) -> float:
    """Seconds from Go's notation (``1h30m``, ``90s``, ``250ms``). Raises ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 30s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def load(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from options and environment. Ends the program with a message where they are wrong (SystemExit)."""
    parser = _parser()
    options = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    try:
        merged = _from_environment(environment) | options
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
    parser.add_argument("--log-level", type=str.upper)
    return parser


def _object(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"no JSON object of strings: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    def list_of(text: str) -> object:
        return msgspec.json.decode(text)

    def minutes_or_more(text: str) -> float:
        return max(60.0, duration(text))  # AWS's agent refuses shorter ones too

    readers: dict[str, tuple[str, Callable[[str], object]]] = {
        "ECS_BACKEND_HOST": ("endpoint", str),
        "AWS_ENDPOINT_URL": ("endpoint", str),
        "ECS_DATADIR": ("state_dir", str),
        "ECS_CLUSTER": ("cluster", str),
        "AWS_DEFAULT_REGION": ("region", str),
        "AWS_REGION": ("region", str),
        "ECS_INSTANCE_ATTRIBUTES": ("attributes", list_of),
        "ECS_CONTAINER_INSTANCE_TAGS": ("instance_tags", list_of),
        "ECS_AVAILABLE_LOGGING_DRIVERS": ("logging_drivers", list_of),
        "ECS_RESERVED_MEMORY": ("reserved_memory", int),
        "ECS_RESERVED_PORTS": ("reserved_ports", list_of),
        "ECS_RESERVED_PORTS_UDP": ("reserved_ports_udp", list_of),
        "ECS_CONTAINER_STOP_TIMEOUT": ("stop_timeout", duration),
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": ("task_cleanup_wait", minutes_or_more),
        "ECS_IMAGE_PULL_BEHAVIOR": ("image_pull_behavior", str),
        "ECS_DISABLE_PRIVILEGED": ("disable_privileged", lambda text: text.lower() == "true"),
        "ECS_LOGLEVEL": ("log_level", str.upper),
    }
    found: dict[str, object] = {}
    for variable, (name, read) in readers.items():
        if text := environment.get(variable):
            found[name] = read(text)
    if "cluster" in found and not found["cluster"]:
        del found["cluster"]
    return found
