"""A task's EFS volumes: directories of file systems that the control plane has mounted on this host.

Each is bound at ``<state>/efs/<task>/<volume>``, from where containers have it. What is there is never deleted: only
unmounted, and the empty place removed. Functions block.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NoReturn

from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.payload import EfsVolume, Task
from dryport.agent.runtime import User
from dryport.agent.settings import Settings
from dryport.host import below, mounts

_PATIENCE = 20.0  # seconds until a file system that was mounted for a task must be seen here
_AGAIN = 0.05


def volumes(task: Task) -> dict[str, EfsVolume]:
    """A task's EFS volumes by name."""
    found = {each.name: each.efs_volume_configuration for each in task.volumes or () if each.type == "efs"}
    return {name: volume for name, volume in found.items() if volume is not None}


def users(task: Task) -> dict[str, User]:
    """As whom they are used, where an access point says."""
    return {
        name: User(uid=user.uid, gid=user.gid, secondary_gids=user.secondary_gids)
        for name, volume in volumes(task).items()
        if (user := volume.user) is not None
    }


def place(settings: Settings, task_id: str, name: str) -> Path:
    """Where a volume is bound."""
    return settings.state_dir / "efs" / task_id / name


def prepare(settings: Settings, task: Task) -> None:
    """Bind a task's volumes; idempotent. Raises TaskFailure in the words of AWS's mount helper."""
    for name, volume in volumes(task).items():
        target = place(settings, task.id, name)
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
        if mounts.is_mounted_on(target):
            continue
        try:
            directory = _directory(_root(settings, volume), volume)
        except OSError as error:
            _fail(
                f"b'mount.nfs4: mounting {volume.file_system_id}:{volume.path} failed, reason given by server: ", error
            )
        try:
            mounts.bind(Path(f"/proc/self/fd/{directory}"), target)
        except OSError as error:
            _fail("b'mount.nfs4: ", error)
        finally:
            os.close(directory)


def release(settings: Settings, task_id: str) -> None:
    """Unmount what containers of a task had of file systems; they no longer run."""
    directory = place(settings, task_id, "")
    if not directory.is_dir():
        return
    for each in sorted(directory.iterdir()):
        mounts.unmount(each)
        each.rmdir()
    directory.rmdir()


def sweep(settings: Settings, known: set[str]) -> None:
    """Release what tasks have left that nobody knows any more."""
    root = settings.state_dir / "efs"
    for name in os.listdir(root) if root.is_dir() else ():
        if name not in known:
            release(settings, name)


def _root(settings: Settings, volume: EfsVolume) -> Path:
    """Where a file system lies on this host. Raises TaskFailure where it does not come."""
    root = settings.file_systems / volume.file_system_id
    # On an instance each is mounted there; on the machine that holds them they are directories of one.
    mounted = mounts.is_mounted_on(settings.file_systems)
    deadline = time.monotonic() + _PATIENCE
    while not (mounts.is_mounted_on(root) if mounted else root.is_dir()):
        if time.monotonic() > deadline:
            raise _failure("b'mount.nfs4: Connection timed out'")
        time.sleep(_AGAIN)
    return root


def _directory(root: Path, volume: EfsVolume) -> int:
    """An open descriptor of what is mounted. Raises OSError, TaskFailure."""
    authorization, point = volume.authorization_config, volume.access_point
    if point is None:
        if authorization is not None and authorization.access_point_id:
            raise _failure("b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'")
        return below.open_directory(str(root), volume.path)
    info = point.creation_info
    try:
        return below.open_directory(str(root), point.path)
    except FileNotFoundError:
        if info is None:
            raise
    return below.make_directory(str(root), point.path, info.owner_uid, info.owner_gid, int(info.permissions, 8))


def _fail(what: str, error: OSError) -> NoReturn:
    raise _failure(f"{what}{error.strerror}'") from error


def _failure(said: str) -> TaskFailure:
    return TaskFailure(
        f"{RESOURCE}: failed to invoke EFS utils commands to set up EFS volumes: stderr: {said} : "
        "unsuccessful EFS utils command execution; code: 32"
    )
