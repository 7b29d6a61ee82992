"""What an instance that boots from another one's image must not have of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_EMPTIED = ("/var/lib/cloud", "/var/lib/ecs/data", "/tmp", "/var/tmp", "/run/ecs")
_REMOVED = ("/var/log/cloud-init-output.log", "/etc/machine-id")


def forget() -> None:
    """Remove the state of cloud-init and of the agent, temporary files, the SSH server's keys. May be done again."""
    for directory in _EMPTIED:
        for entry in os.scandir(directory) if os.path.isdir(directory) else ():
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    for path in (*map(Path, _REMOVED), *Path("/etc/ssh").glob("ssh_host_*")):
        path.unlink(missing_ok=True)
