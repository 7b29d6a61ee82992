"""What runs of a Dryport, read from the machine."""

from __future__ import annotations

import http.client
from pathlib import Path


def pid_of(state_dir: Path, name: str) -> int | None:
    """The process id of one of Dryport's processes, if it is alive."""
    try:
        pid = int((state_dir / "run" / f"{name}.pid").read_text())
    except (FileNotFoundError, PermissionError, ValueError):
        return None
    return pid if alive(pid, state_dir) else None


def alive(pid: int, state_dir: Path) -> bool:
    """Whether a process of this Dryport has this id.

    A process id is used again after a death: believe it only if the command names the state directory.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(str(state_dir.resolve()).encode() in argument for argument in command)


def supervisor_pid(state_dir: Path) -> int | None:
    """The supervisor's process id, if it is alive."""
    return pid_of(state_dir, "supervisor")


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return 0


def answers(port: int) -> bool:
    """Whether the endpoint on this port of loopback answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", "/_dryport/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
