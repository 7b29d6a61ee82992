"""An instance's cgroups: an outer one that bounds it, and one inside that is the root of what it sees.

The limits are written to both. What the instance's own root changes of the inner one, the outer one still bounds.
Version 1 has a hierarchy a controller, of which a process should be in the same place in all; version 2 has one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from dryport.host import cgroups
from dryport.host.instances.devices import ALLOWED, Device

INNER = "host"
_PIDS = 16_384
_MIB = 1 << 20


def hierarchies() -> dict[str, str]:
    """Every mounted hierarchy of cgroups: its directory and its controllers ("" for version 2's)."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, described = line.partition(" - ")
        kind, _, options = described.split(" ", 2)
        directory = fields.split(" ")[4]
        if kind == "cgroup":
            known = set(options.split(",")) - {"rw", "ro", "xattr", "clone_children", "release_agent"}
            found[directory] = ",".join(sorted(each for each in known if not each.startswith("release_agent=")))
        elif kind == "cgroup2":
            found[directory] = ""
    return found


def create(path: str, vcpus: float, memory: int, devices: list[Device]) -> None:
    """Make an instance's cgroups, which must not be there, with its limits: CPUs, and memory in MiB. Raises OSError."""
    for directory in hierarchies():
        (Path(directory) / path).mkdir(parents=True)
    _restrict_devices(path, devices)  # while none is below: those that come have no more than this
    for directory in hierarchies():
        (Path(directory) / path / INNER).mkdir()
    _share_cpus(path)
    for each in (path, f"{path}/{INNER}"):
        cgroups.create(each, cpu_quota=vcpus, memory=memory * _MIB, pids=_PIDS)


def members(path: str) -> list[str]:
    """The files that a process writes itself into to be in the instance."""
    return [f"{directory}/{path}/{INNER}/cgroup.procs" for directory in hierarchies()]


def _share_cpus(path: str) -> None:
    """A cpuset of version 1 begins without CPUs and memory nodes, and takes no process: give it its parent's."""
    for directory, controllers in hierarchies().items():
        if "cpuset" not in controllers.split(","):
            continue
        current = Path(directory)
        for part in Path(path, INNER).parts:
            parent, current = current, current / part
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not (current / name).read_text().strip():
                    (current / name).write_text((parent / name).read_text())


def _restrict_devices(path: str, devices: list[Device]) -> None:
    for outer in _with_devices(path):
        (outer / "devices.deny").write_text("a")
        for rule in (*ALLOWED, *(device.rule for device in devices)):
            (outer / "devices.allow").write_text(rule)


def allow(path: str, device: Device) -> None:
    """Let an instance use one more device. Raises OSError."""
    for outer in _with_devices(path):
        # A child has what it was allowed itself, and its parent too. Those right below hold its containers' groups.
        for group in (outer, outer / INNER, *(each for each in (outer / INNER).iterdir() if each.is_dir())):
            (group / "devices.allow").write_text(device.rule)


def forbid(path: str, device: Device) -> None:
    """Take a device from an instance again; what is open stays open. Raises OSError."""
    for outer in _with_devices(path):
        (outer / "devices.deny").write_text(device.rule)


def _with_devices(path: str) -> list[Path]:
    return [Path(each) / path for each, controllers in hierarchies().items() if "devices" in controllers.split(",")]


def delete(path: str, timeout: float = 10.0) -> None:
    """Kill what is in an instance's cgroups and remove them; nothing where there are none.

    Blocks until the processes are gone. Raises TimeoutError after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    roots = [Path(directory) / path for directory in hierarchies()]
    while pids := _processes(roots):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of cgroup {path} do not end: {sorted(pids)}")
        time.sleep(0.005)
    for root in roots:
        _remove(root, deadline)


def delete_empty(path: str) -> None:
    """Remove a cgroup that holds others, once it holds none, and those above it likewise."""
    for directory in hierarchies():
        current = Path(directory) / path
        while str(current) != directory:
            try:
                current.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break  # another Dryport's are in it
            current = current.parent


def _processes(roots: list[Path]) -> set[int]:
    found: set[int] = set()
    for root in roots:
        for current, _, _ in os.walk(root):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in Path(current, "cgroup.procs").read_text().split())
    return found - {0}


def _remove(root: Path, deadline: float) -> None:
    for current, _, _ in os.walk(root, topdown=False):
        while True:
            try:
                os.rmdir(current)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)  # a process that has ended still leaves
