"""How containerd is told which registries speak plain HTTP.

A registry on this machine (``localhost``, a name under it, a loopback address) is spoken to in the clear, as Docker
does it; every other one over HTTPS. containerd looks into ``<config_path>/<host>:<port>/hosts.toml`` at every pull.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path


def registry_of(reference: str) -> str:
    """The registry's host and port in an image reference; "" for Docker Hub's short names."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return ""


def is_local(registry: str) -> bool:
    """Whether a registry is on this machine by its name alone."""
    host = registry.rsplit(":", 1)[0] if not registry.endswith("]") else registry
    host = host.strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ensure(config_path: Path, registry: str) -> None:
    """Write the registry's ``hosts.toml`` where it needs one."""
    if not registry or not is_local(registry):
        return
    file = config_path / registry / "hosts.toml"
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    text = f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(text)
    fresh.rename(file)
