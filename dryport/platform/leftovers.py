"""Takes everything of a Dryport off the machine but its state: what ``dryport down`` ends with.

Works whatever is still there, after a clean end as after ``kill -9`` of every process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from pathlib import Path

from dryport.control.config import Config

# What only the end of a Dryport needs is imported there: it would double the supervisor's start.
_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2


def clear(config: Config) -> None:
    """Kill the containers, then remove their cgroups, mounts and namespaces, the VPCs, the firewall rules.

    No process of this Dryport may be running. Raises TimeoutError where a process does not die, OSError.
    """
    from dryport.agent.settings import Settings
    from dryport.host import cgroups, namespaces

    agent = Settings(endpoint="", state_dir=agent_dir(config))
    cgroups.delete(f"dryport/{agent.slug}")
    cgroups.delete(agent.cgroup)
    for hierarchy in cgroups.directories("dryport"):
        with contextlib.suppress(OSError):  # another Dryport's are in it, or it is gone
            hierarchy.rmdir()
    for name in namespaces.entries(f"dpa{agent.slug}-"):
        namespaces.delete(name)
    _unmount_below(config.state_dir)
    asyncio.run(_tear_down_networks(config))
    for name in namespaces.entries(f"dp{config.id}-"):
        namespaces.delete(name)


def agent_dir(config: Config) -> Path:
    """The state directory of the built-in agent."""
    return config.state_dir / "agent"


def _unmount_below(directory: Path) -> None:
    prefix = f"{directory.resolve()}/"
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # The newest first: it may lie on an older one.
    for point in reversed(points):
        path = point.encode().decode("unicode_escape")
        if path.startswith(prefix):
            _LIBC.umount2(os.fsencode(path), _MNT_DETACH)


async def _tear_down_networks(config: Config) -> None:
    from dryport.host.daemon import Host
    from dryport.host.machine import Machine

    machine = await Machine.open(config)
    host = Host(config, machine)
    try:
        await host.teardown()
    finally:
        await host.close()
