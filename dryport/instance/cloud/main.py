"""The boot's own work, in a child of the init that ends with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

from dryport.instance.cloud import forget, identity, ssh, userdata

BOOT = "/run/dryport/boot.json"
_SOCKET = "/run/dryport/init.sock"
_MOUNTS = 90.0  # seconds that they may take
_CLOUD = Path("/var/lib/cloud")


def main() -> int:
    """Set the instance up, start what waits for that, execute the user data at its first boot."""
    boot: dict[str, Any] = json.loads(Path(BOOT).read_text())
    sys.path += boot["site"]
    home = _CLOUD / "instances" / boot["id"]
    first = not home.exists()
    if first:
        forget.forget()
    home.mkdir(parents=True, exist_ok=True)
    identity.write(boot)
    parts = userdata.read(boot["user_data"], home)
    parts.prepare(first)
    mount_all()
    if boot["base"] == "ecs":
        Path("/etc/docker").mkdir(exist_ok=True)
        Path("/etc/ecs").mkdir(exist_ok=True)
        Path("/etc/ecs/ecs.config").touch()
        for directory in ("/var/lib/ecs/data", "/var/log/ecs"):
            Path(directory).mkdir(parents=True, exist_ok=True)
        ask("start docker")
    if ssh.prepare(first):
        ask("start sshd")
    if first:
        _point_at(home)
        parts.execute()
    (home / "boot-finished").write_text(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.2f}\n")
    up = time.time() - os.stat("/proc/1").st_ctime
    print(f"Cloud-init v. dryport finished at {formatdate()}. Datasource DataSourceEc2Local.  Up {up:.2f} seconds")
    return 0


def mount_all() -> None:
    """Mount what ``/etc/fstab`` names, as every boot does; what it says goes to the console."""
    if not os.path.exists("/etc/fstab"):
        return
    try:
        subprocess.run(["mount", "-a"], check=False, timeout=_MOUNTS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"the file systems of /etc/fstab are not all mounted: {error}")


def _point_at(home: Path) -> None:
    link = _CLOUD / "instance"
    link.unlink(missing_ok=True)
    link.symlink_to(home)


def ask(command: str) -> str:
    """What the init answers to a command."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(_SOCKET)
        channel.sendall(f"{command}\n".encode())
        return channel.recv(1024).decode().strip()
