"""Mounts that a container uses as another user than its own: idmapped copies of them, one a container.

A container's own user and group become the mount's; secondary groups of that become groups that the container's
processes get for it. Other users of the container see the files as nobody's and can write none (EOVERFLOW), and root's
capabilities count for files of the mount's user only. The price: what others own can be read as its mode says, but not
written, although a mode may allow that (EACCES): mapping its owner would let the container's root be that owner.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from dryport.agent.runtime.interface import Mount, RuntimeFailure, User
from dryport.agent.runtime.oci.users import Identity
from dryport.host import idmap, mounts

_FIRST_GROUP = 1_500_000_000  # beyond what images and machines use
_ITS_GROUP = _FIRST_GROUP - 1  # what the directory's own group is seen as, where the user is not in it


def groups(wanted: Iterable[Mount]) -> dict[int, int]:
    """The groups that a container's processes get, by the secondary groups of file systems that they stand for."""
    users = [mount.as_user for mount in wanted if mount.as_user is not None]
    numbers = sorted({gid for user in users for gid in user.secondary_gids})
    return {gid: _FIRST_GROUP + place for place, gid in enumerate(numbers)}


def located(container_id: str, wanted: Sequence[Mount]) -> list[Mount]:
    """The mounts with the places of those copies as their sources."""
    return [
        msgspec.structs.replace(mount, source=f"{mount.source}@{container_id}") if mount.as_user is not None else mount
        for mount in wanted
    ]


def prepare(container_id: str, wanted: Sequence[Mount], identity: Identity) -> None:
    """Make the copies, for a container whose own user is known now; idempotent. Blocks. Raises RuntimeFailure."""
    given = groups(wanted)
    for mount, copy in zip(wanted, located(container_id, wanted), strict=True):
        if mount.as_user is not None:
            try:
                _copy(mount.source, Path(copy.source), mount.as_user, identity, given)
            except OSError as error:
                said = f"{mount.target} cannot be used as {mount.as_user.uid}:{mount.as_user.gid}: {error.strerror}"
                raise RuntimeFailure("CannotCreateContainerError", said) from error


def _copy(source: str, target: Path, user: User, identity: Identity, given: dict[int, int]) -> None:
    target.mkdir(mode=0o755, exist_ok=True)
    if mounts.is_mounted_on(target):
        return
    seen = {user.gid: identity.gid} | {gid: given[gid] for gid in user.secondary_gids if gid != user.gid}
    directory = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(directory)
        writable = status.st_mode & (stat.S_IWOTH | (stat.S_IWGRP if status.st_gid in seen else 0))
        if status.st_uid != user.uid and writable:
            raise OSError(errno.EACCES, f"the directory is uid {status.st_uid}'s, and only its owner could write there")
        seen.setdefault(status.st_gid, _ITS_GROUP)  # nobody writes to what has a group that is not mapped
        idmap.mount(directory, target, [(user.uid, identity.uid)], list(seen.items()))
    finally:
        os.close(directory)
