"""What a container used, and whether the kernel killed in it, from its cgroups (version 1 and 2)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dryport.agent.runtime.interface import ContainerStats

ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60


class Cgroups:
    """The machine's cgroup file systems. Paths are as the OCI specification's ``cgroupsPath``: absolute."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self.unified = (root / "cgroup.controllers").exists()

    def directory(self, path: str, controller: str) -> Path:
        """A cgroup's directory for one of version 1's controllers; version 2 has one for all."""
        return (self._root if self.unified else self._root / controller) / path.strip("/")

    def directories(self, path: str) -> list[Path]:
        """Every directory that a cgroup has."""
        if self.unified:
            return [self._root / path.strip("/")]
        return [each / path.strip("/") for each in self._root.iterdir() if each.is_dir() and not each.is_symlink()]

    def oom_kills(self, path: str) -> int:
        """How many processes of the cgroup the kernel killed for want of memory."""
        file = "memory.events" if self.unified else "memory.oom_control"
        return _table(self.directory(path, "memory") / file).get("oom_kill", 0)

    def processes(self, path: str) -> list[int]:
        """The processes in a cgroup, as the host numbers them."""
        with suppress(FileNotFoundError):
            return [int(line) for line in (self.directory(path, "pids") / "cgroup.procs").read_text().split()]
        return []

    def remove(self, path: str) -> None:
        """Remove an empty cgroup; one that is not there, or is in use, stays as it is."""
        for directory in self.directories(path):
            with suppress(OSError):
                directory.rmdir()

    def stats(self, path: str, pid: int, at: float) -> ContainerStats:
        """A container's counters; the network's are those of ``pid``'s namespace."""
        received, got, sent, gave = network(pid)
        read, written = self._blocks(path)
        memory = self.directory(path, "memory")
        numbers = _table(memory / "memory.stat")
        if self.unified:
            used = _number(memory / "memory.current") - numbers.get("inactive_file", 0)
            cpu = _table(memory / "cpu.stat").get("usage_usec", 0) / 1e6
            limit = min(_number(up / "memory.max") for up in (memory, *memory.parents) if self._root in up.parents)
        else:
            used = _number(memory / "memory.usage_in_bytes") - numbers.get("total_inactive_file", 0)
            cpu = _number(self.directory(path, "cpuacct") / "cpuacct.usage") / 1e9
            limit = numbers.get("hierarchical_memory_limit", _NO_LIMIT)
        return ContainerStats(
            at=at,
            cpu_seconds=cpu,
            online_cpus=os.cpu_count() or 1,
            memory=max(0, used),
            memory_limit=limit if limit < _NO_LIMIT else _machine_memory(),
            received_bytes=received,
            received_packets=got,
            sent_bytes=sent,
            sent_packets=gave,
            read_bytes=read,
            written_bytes=written,
        )

    def _blocks(self, path: str) -> tuple[int, int]:
        directory = self.directory(path, "blkio")
        read = written = 0
        with suppress(FileNotFoundError):
            if self.unified:
                for field in (directory / "io.stat").read_text().split():
                    name, _, value = field.partition("=")
                    read += int(value) if name == "rbytes" else 0
                    written += int(value) if name == "wbytes" else 0
            else:
                for line in (directory / "blkio.throttle.io_service_bytes").read_text().splitlines():
                    fields = line.split()
                    read += int(fields[2]) if fields[1:2] == ["Read"] else 0
                    written += int(fields[2]) if fields[1:2] == ["Write"] else 0
        return read, written


def network(pid: int) -> tuple[int, int, int, int]:
    """Bytes and packets received, bytes and packets sent, of a process's network namespace without its loopback."""
    total = [0, 0, 0, 0]
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
            name, _, numbers = line.partition(":")
            fields = numbers.split()
            if name.strip() != "lo":
                for place, column in enumerate((0, 1, 8, 9)):
                    total[place] += int(fields[column])
    return total[0], total[1], total[2], total[3]


def _table(file: Path) -> dict[str, int]:
    with suppress(FileNotFoundError):
        rows = (line.split() for line in file.read_text().splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    return {}


def _number(file: Path) -> int:
    with suppress(FileNotFoundError):
        text = file.read_text().strip()
        return int(text) if text.isdigit() else _NO_LIMIT
    return 0 if file.name != "memory.max" else _NO_LIMIT


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
