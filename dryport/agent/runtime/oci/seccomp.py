"""The machine's seccomp profile (the format that Docker and Podman share), resolved for one container.

The profile is data that the distribution keeps (Debian: golang-github-containers-common). Its entries apply by
architecture, kernel and capability; what is left is the OCI specification's ``linux.seccomp``.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from dryport.agent.runtime.interface import RuntimeFailure

PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
# uname -m → (the profile's name of the architecture, libseccomp's)
_ARCHITECTURES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}


@lru_cache(maxsize=16)
def default(capabilities: frozenset[str]) -> dict[str, Any]:
    """The profile of this machine for a container of these capabilities. Raises RuntimeFailure where there is none."""
    for path in PROFILES:
        if path.exists():
            return resolve(json.loads(path.read_text()), capabilities, platform.machine(), _kernel(os.uname().release))
    raise RuntimeFailure(
        "CannotCreateContainerError",
        "this machine has no seccomp profile: apt-get install golang-github-containers-common",
    )


def resolve(
    profile: Mapping[str, Any], capabilities: frozenset[str], machine: str, kernel: tuple[int, int]
) -> dict[str, Any]:
    """The entries of ``profile`` that hold here, as ``linux.seccomp``."""
    short, native = _ARCHITECTURES.get(machine, (machine, f"SCMP_ARCH_{machine.upper()}"))
    architectures = [native]
    for entry in profile.get("archMap", []):
        if entry["architecture"] == native:
            architectures += entry.get("subArchitectures") or []
    resolved: dict[str, Any] = {
        "defaultAction": profile["defaultAction"],
        "architectures": architectures,
        "syscalls": [_syscall(entry) for entry in profile["syscalls"] if _applies(entry, capabilities, short, kernel)],
    }
    if profile.get("defaultErrnoRet") is not None:
        resolved["defaultErrnoRet"] = profile["defaultErrnoRet"]
    return resolved


def _applies(entry: Mapping[str, Any], capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if includes.get("arches") and arch not in includes["arches"]:
        return False
    if arch in (excludes.get("arches") or ()):
        return False
    if includes.get("minKernel") and kernel < _kernel(includes["minKernel"]):
        return False
    if excludes.get("minKernel") and kernel >= _kernel(excludes["minKernel"]):
        return False
    if not _all_in(includes.get("caps") or (), capabilities):
        return False
    return not any(capability in capabilities for capability in excludes.get("caps") or ())


def _all_in(wanted: Sequence[str], capabilities: frozenset[str]) -> bool:
    return all(capability in capabilities for capability in wanted)


def _syscall(entry: Mapping[str, Any]) -> dict[str, Any]:
    call: dict[str, Any] = {"names": entry.get("names") or [entry["name"]], "action": entry["action"]}
    if entry.get("args"):
        call["args"] = [
            {name: arg[name] for name in ("index", "value", "valueTwo", "op") if name in arg} for arg in entry["args"]
        ]
    if entry.get("errnoRet") is not None:
        call["errnoRet"] = entry["errnoRet"]
    return call


def _kernel(release: str) -> tuple[int, int]:
    major, minor, *_ = release.split(".")
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
