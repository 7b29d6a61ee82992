"""Control groups, v1 as mounted a controller at a time, or v2: a task's limits over all of its containers.

A ``path`` is relative to the hierarchy's root (``dryport/3fa2c1/0123…``), the same in every controller.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from pathlib import Path

import msgspec

_V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids")
_PERIOD = 100_000  # microseconds, CFS's own default
ROOT = Path("/sys/fs/cgroup")


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a cgroup: CPU seconds used, bytes of memory in use and allowed (0: no limit), processes."""

    cpu_seconds: float = 0.0
    memory: int = 0
    memory_limit: int = 0
    memory_inactive_file: int = 0
    pids: int = 0


@functools.cache
def version() -> int:
    """2 where the unified hierarchy holds the controllers, otherwise 1."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def directories(path: str) -> list[Path]:
    """Where a cgroup is: a directory a mounted controller in v1, one in v2."""
    relative = path.lstrip("/")
    if version() == 2:
        return [ROOT / relative]
    return [ROOT / controller / relative for controller in _V1_CONTROLLERS if (ROOT / controller).is_dir()]


def create(
    path: str,
    *,
    cpu_quota: float | None = None,
    cpu_shares: int | None = None,
    memory: int | None = None,
    pids: int | None = None,
) -> None:
    """Make a cgroup, or set the limits of the one that is there.

    ``cpu_quota`` is in CPUs (0.25), ``cpu_shares`` as in v1 (1024 a CPU; turned into a weight in v2), ``memory`` in
    bytes and without swap, ``pids`` a number of processes; ``None`` sets no limit. Raises OSError.
    """
    _make(directories(path), path, cpu_quota, cpu_shares, memory, pids)


def enter(path: str, cpu_shares: int) -> None:
    """Have this process, and what it starts from now on, share that much of the processors with each other.

    In v1 nothing but its processor time is grouped. ``cpu_shares`` as in ``create``. Raises OSError.
    """
    directory = _file(path, "cpu", "")
    _make([directory], path, None, cpu_shares, None, None)
    (directory / "cgroup.procs").write_text(str(os.getpid()))


def _make(
    where: list[Path], path: str, quota: float | None, shares: int | None, memory: int | None, pids: int | None
) -> None:
    for directory in where:
        directory.mkdir(parents=True, exist_ok=True)
    if version() == 2:
        _enable_controllers(path)
        _limit_v2(path, quota, shares, memory, pids)
    else:
        _limit_v1(path, quota, shares, memory, pids)


def _limit_v1(path: str, quota: float | None, shares: int | None, memory: int | None, pids: int | None) -> None:
    if quota is not None:
        _write(path, "cpu", "cpu.cfs_period_us", _PERIOD)
        _write(path, "cpu", "cpu.cfs_quota_us", max(1000, round(quota * _PERIOD)))
    if shares is not None:
        _write(path, "cpu", "cpu.shares", max(2, shares))
    if memory is not None:
        _write(path, "memory", "memory.use_hierarchy", 1, optional=True)
        # memory plus swap may never be below memory: raise in one order, lower in the other.
        try:
            _write(path, "memory", "memory.limit_in_bytes", memory)
            _write(path, "memory", "memory.memsw.limit_in_bytes", memory, optional=True)
        except OSError:
            _write(path, "memory", "memory.memsw.limit_in_bytes", memory)
            _write(path, "memory", "memory.limit_in_bytes", memory)
    if pids is not None:
        _write(path, "pids", "pids.max", pids)


def _limit_v2(path: str, quota: float | None, shares: int | None, memory: int | None, pids: int | None) -> None:
    if quota is not None:
        _write(path, "cpu", "cpu.max", f"{max(1000, round(quota * _PERIOD))} {_PERIOD}")
    if shares is not None:
        # The mapping that OCI runtimes use (crun's and runc's documentation): 2..262144 to 1..10000.
        _write(path, "cpu", "cpu.weight", 1 + (max(2, min(shares, 262_144)) - 2) * 9999 // 262_142)
    if memory is not None:
        _write(path, "memory", "memory.max", memory)
        _write(path, "memory", "memory.swap.max", 0, optional=True)
    if pids is not None:
        _write(path, "pids", "pids.max", pids)


def _enable_controllers(path: str) -> None:
    """Pass the controllers down from the root to the cgroup's parent (cgroups v2, "Controlling Controllers")."""
    current = ROOT
    for part in Path(path.lstrip("/")).parts:
        for controller in ("cpu", "memory", "pids"):
            with contextlib.suppress(OSError):
                (current / "cgroup.subtree_control").write_text(f"+{controller}")
        current = current / part


def _file(path: str, controller: str, name: str) -> Path:
    base = ROOT if version() == 2 else ROOT / controller
    return base / path.lstrip("/") / name


def _write(path: str, controller: str, name: str, value: int | str, *, optional: bool = False) -> None:
    try:
        _file(path, controller, name).write_text(str(value))
    except OSError:
        if not optional:
            raise


def processes(path: str) -> set[int]:
    """The process ids in a cgroup and in those below it."""
    found: set[int] = set()
    for directory in directories(path):
        for current, _, _ in os.walk(directory):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (Path(current) / "cgroup.procs").read_text().split())
    return found


def delete(path: str, *, timeout: float = 5.0) -> None:
    """Kill what is left in a cgroup and below, then remove it; nothing where there is none.

    Blocks until the processes are gone. Raises TimeoutError after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while left := processes(path):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of cgroup {path} do not end: {sorted(left)}")
        time.sleep(0.005)  # the kernel tells nobody when a cgroup of v1 becomes empty
    for directory in _everywhere(path):
        _remove_tree(directory, deadline)


def _everywhere(path: str) -> list[Path]:
    """Where a cgroup may be: OCI runtimes make what is above a container's in every hierarchy that is mounted."""
    if version() == 2:
        return directories(path)
    hierarchies = [each for each in ROOT.iterdir() if each.is_dir() and not each.is_symlink()]
    return [found for each in hierarchies if (found := each / path.lstrip("/")).is_dir()]


def _remove_tree(directory: Path, deadline: float) -> None:
    for current, below, _ in os.walk(directory, topdown=False):
        for name in below:
            _remove(Path(current) / name, deadline)
    _remove(directory, deadline)


def _remove(directory: Path, deadline: float) -> None:
    while True:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)  # a process that has ended still leaves
        else:
            return


def oom_kills(path: str) -> int:
    """How often the kernel killed for want of memory in this cgroup or below; 0 where there is none."""
    total = 0
    base = _file(path, "memory", "")
    for current, _, _ in os.walk(base):
        name = "memory.events.local" if version() == 2 else "memory.oom_control"
        total += _fields(Path(current) / name).get("oom_kill", 0)
    return total


def stats(path: str) -> Stats | None:
    """A cgroup's counters, what is below it included; ``None`` where there is none."""
    if not _file(path, "memory", "").exists():
        return None
    count = len(processes(path))
    if version() == 2:
        limit = _text(_file(path, "memory", "memory.max"))
        return Stats(
            cpu_seconds=_fields(_file(path, "cpu", "cpu.stat")).get("usage_usec", 0) / 1e6,
            memory=_number(_file(path, "memory", "memory.current")),
            memory_limit=int(limit) if limit.isdigit() else 0,
            memory_inactive_file=_fields(_file(path, "memory", "memory.stat")).get("inactive_file", 0),
            pids=count,
        )
    limited = _number(_file(path, "memory", "memory.limit_in_bytes"))
    return Stats(
        cpu_seconds=_number(_file(path, "cpuacct", "cpuacct.usage")) / 1e9,
        memory=_number(_file(path, "memory", "memory.usage_in_bytes")),
        memory_limit=limited if limited < 1 << 60 else 0,
        memory_inactive_file=_fields(_file(path, "memory", "memory.stat")).get("total_inactive_file", 0),
        pids=count,
    )


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _number(file: Path) -> int:
    text = _text(file)
    return int(text) if text.isdigit() else 0


def _fields(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(file).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
