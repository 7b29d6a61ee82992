"""What a Dryport has on the machine, for tests that it leaves nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import Platform


def traces(platform: Platform) -> list[str]:
    """What this Dryport has on the machine.

    Namespaces, links, mounts, loop devices, cgroups, processes, firewall tables.
    """
    id, state = platform.config.id, str(platform.state_dir)
    found = [f"netns {name}" for name in _names("/run/netns") if id in name]
    found += [f"link {line}" for line in _output("ip", "-o", "link") if id in line]
    found += [
        f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if state in line or f"-{id}" in line
    ]
    found += [f"loop device {line}" for line in _output("losetup", "--list", "--noheadings") if state in line]
    found += [f"table {line}" for line in _output("nft", "list", "tables") if id in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state in command and "pytest" not in command:
            found.append(f"process {process.parent.name} {command}")
    found += [f"cgroup {path}" for path, _, _ in os.walk("/sys/fs/cgroup") if id in path]
    return found


def _output(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
