"""Mounts on which one user and group of a file system appear as others, and everybody else as nobody (idmapped mounts).

``mount`` starts this file as a small program: it needs a user namespace, which only a process without threads can make.
What is written through such a mount belongs to the file system's user; whom it maps to no user of it, it refuses
(EOVERFLOW). Source: mount_setattr(2), user_namespaces(7); Linux 5.12, and a file system that supports it (ext4, XFS,
btrfs; overlayfs does not).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture (since Linux 5.0)
_CLONE, _CLOEXEC, _EMPTY_PATH, _FROM_EMPTY_PATH, _HERE = 1, os.O_CLOEXEC, 0x1000, 4, -100
_IDMAP, _NEWUSER = 0x100000, 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: int, target: Path, users: Sequence[tuple[int, int]], groups: Sequence[tuple[int, int]]) -> None:
    """Mount a directory, by its open descriptor, with pairs of ids: on the file system, and seen through the mount.

    Blocks for some 30 ms. Raises OSError.
    """
    plan = json.dumps({"source": source, "target": str(target), "users": users, "groups": groups})
    command = [os.path.realpath(sys.executable), "-I", "-S", __file__]
    done = subprocess.run(command, input=plan, capture_output=True, text=True, check=False, pass_fds=(source,))
    if done.returncode:
        number = int(done.stdout) if done.stdout.strip().isdigit() else errno.EIO
        raise OSError(number, done.stderr.strip() or os.strerror(number), str(target))


def _main() -> int:
    plan = json.load(sys.stdin)
    try:
        namespace = _user_namespace(plan["users"], plan["groups"])
        tree = _call("open_tree", _OPEN_TREE, plan["source"], b"", _CLONE | _CLOEXEC | _EMPTY_PATH)
        attributes = struct.pack("=QQQQ", _IDMAP, 0, 0, namespace)
        _call("mount_setattr", _MOUNT_SETATTR, tree, b"", _EMPTY_PATH, attributes, len(attributes))
        _call("move_mount", _MOVE_MOUNT, tree, b"", _HERE, os.fsencode(plan["target"]), _FROM_EMPTY_PATH)
    except OSError as error:
        print(error.errno)
        print(error.strerror, file=sys.stderr)
        return 1
    return 0


def _user_namespace(users: list[list[int]], groups: list[list[int]]) -> int:
    """An open descriptor of a user namespace with these maps."""
    made, made_here = os.pipe()
    end_here, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        os.write(made_here, b"x" if _libc.unshare(_NEWUSER) == 0 else bytes([ctypes.get_errno()]))
        os.read(end_here, 1)
        os._exit(0)
    answer = os.read(made, 1)
    try:
        if answer != b"x":
            raise OSError(answer[0], f"unshare: {os.strerror(answer[0])}")
        for name, pairs in (("uid_map", users), ("gid_map", groups)):
            Path(f"/proc/{pid}/{name}").write_text("".join(f"{inside} {seen} 1\n" for inside, seen in pairs))
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(end)
        os.waitpid(pid, 0)


def _call(name: str, number: int, *arguments: object) -> int:
    result = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return int(result)


if __name__ == "__main__":
    sys.exit(_main())
