"""The machine's seccomp profile (the format that Docker and Podman share), resolved for one container.

The profile is data that the distribution keeps (Debian: golang-github-containers-common). Its entries apply by
architecture, kernel and capability; what is left is the OCI specification's ``linux.seccomp``.

libseccomp compiles the filter anew for each container and each command run in one, so its size is launch time. Two
things are therefore left out, which changes nothing a program sees: x32, which distributions' kernels do not run
(20 of runc's 54 ms of processor time here), and entries that say what the default says. The default is Docker's: EPERM.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from dryport.agent.runtime.interface import RuntimeFailure

PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
_X32 = "SCMP_ARCH_X32"
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
            architectures += [each for each in entry.get("subArchitectures") or [] if each != _X32]
    default = {"action": profile["defaultAction"], "errnoRet": errno.EPERM}
    syscalls = [_syscall(entry) for entry in profile["syscalls"] if _applies(entry, capabilities, short, kernel)]
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": errno.EPERM,
        "architectures": architectures,
        "syscalls": [call for call in syscalls if {**default, **call} != {**call, **default}],
    }


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
