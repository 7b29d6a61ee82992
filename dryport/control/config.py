"""What a running Dryport was told: where its state is, where it listens, what it may call itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"
DEFAULT_PORT = 4566
DEFAULT_STATE_DIR = Path("/var/lib/dryport")

# Inside every VPC, the address at which the platform's endpoint answers (link-local: RFC 3927).
ENDPOINT_IN_VPC = "169.254.171.1"


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """A service of botocore's that is handed on: ``to`` is a URL, ``aws`` or ``moto``; ``port`` is moto's."""

    service: str
    to: str
    port: int = 0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one Dryport. Every process of it gets the same ones, as JSON in the state directory.

    ``listen`` are addresses besides loopback that the endpoint is served at, for other machines.
    ``forwards`` are services that others serve.
    ``slot`` (0 to 127) sets apart the Dryports that run on one machine: public addresses, names of namespaces.
    """

    state_dir: Path
    port: int = DEFAULT_PORT
    listen: tuple[str, ...] = ()
    slot: int = 0
    dev_credentials: bool = False
    account: str = DEFAULT_ACCOUNT
    forwards: tuple[Forward, ...] = ()
    forward_credentials: str = ""  # the file with the upstreams' keys, empty where there is none

    @property
    def id(self) -> str:
        """Six hexadecimal digits that name this Dryport's things on the machine (namespaces, cgroups, tables)."""
        return hashlib.sha256(str(self.state_dir.resolve()).encode()).hexdigest()[:6]

    @property
    def endpoint(self) -> str:
        """The endpoint for clients on this machine."""
        return f"http://localhost:{self.port}"

    @property
    def endpoint_in_vpc(self) -> str:
        """The endpoint for tasks and instances."""
        return f"http://{ENDPOINT_IN_VPC}:{self.port}"

    @property
    def run_dir(self) -> Path:
        """Sockets and process ids; mode 0700."""
        return self.state_dir / "run"

    @property
    def balancer_dir(self) -> Path:
        """A directory for each load balancer's process: short, for sockets' names, and gone with a reboot."""
        return Path("/run/dryport/balancers", self.id)

    @property
    def log_dir(self) -> Path:
        """The processes' own logs."""
        return self.state_dir / "log"

    @property
    def public_network(self) -> str:
        """The /22 of 198.18.0.0/15 (RFC 2544) that this Dryport's public addresses come from.

        Its first 256 addresses are the platform's own: .0.1 is the endpoint, the others are the VPCs' uplinks.
        """
        number = self.slot * 1024
        return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.0/22"


def _decode(kind: type[Any], value: Any) -> Any:
    return kind(value)


def load(state_dir: Path) -> Config:
    """The settings of the Dryport in a state directory. Raises FileNotFoundError where there is none."""
    text = (state_dir / "config.json").read_bytes()
    return msgspec.json.decode(text, type=Config, dec_hook=_decode)


def save(config: Config) -> None:
    """Write the settings to where ``load`` finds them."""
    unfinished = config.state_dir / "config.new"
    unfinished.write_bytes(msgspec.json.encode(config, enc_hook=str))
    unfinished.replace(config.state_dir / "config.json")
