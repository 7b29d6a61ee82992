"""Directories below another one, reached without following links: those who write there must not lead elsewhere."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress

_libc = ctypes.CDLL(None, use_errno=True)
_NO_REPLACE = 1  # RENAME_NOREPLACE, rename(2)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(root: str, path: str) -> int:
    """An open descriptor of a directory. Raises FileNotFoundError, NotADirectoryError (also for a link), OSError."""
    current = os.open(root, _DIRECTORY)
    for part in _parts(path):
        parent = current
        try:
            current = os.open(part, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
            raise
        finally:
            os.close(parent)
    return current


def make_directory(root: str, path: str, owner: int, group: int, mode: int) -> int:
    """Open a directory that is made where it is not there, with its owner and mode from the start. Raises OSError.

    Directories above it are made as root's.
    """
    *above, last = _parts(path)
    for number in range(len(above)):
        parent = open_directory(root, "/".join(above[:number]))
        try:
            with suppress(FileExistsError):
                os.mkdir(above[number], 0o755, dir_fd=parent)
        finally:
            os.close(parent)
    parent = open_directory(root, "/".join(above))
    try:
        _make(parent, last, owner, group, mode)
    finally:
        os.close(parent)
    return open_directory(root, path)


def _make(parent: int, name: str, owner: int, group: int, mode: int) -> None:
    """Make it under another name first: a process that ends half-way must not leave one with the wrong owner."""
    unfinished = f".{name}.new"
    with suppress(FileExistsError):
        os.mkdir(unfinished, 0o700, dir_fd=parent)
    try:
        made = os.open(unfinished, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return  # another process, at the same time, has just given it its name
    try:
        os.fchown(made, owner, group)
        os.fchmod(made, mode)
    finally:
        os.close(made)
    if _libc.renameat2(parent, unfinished.encode(), parent, name.encode(), _NO_REPLACE) != 0:
        number = ctypes.get_errno()
        with suppress(FileNotFoundError):
            os.rmdir(unfinished, dir_fd=parent)
        if number not in (errno.EEXIST, errno.ENOENT):
            raise OSError(number, os.strerror(number), name)


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return parts
