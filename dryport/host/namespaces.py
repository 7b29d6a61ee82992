"""Network namespaces by name, bound at ``/run/netns`` as iproute2 does, so that ``ip netns`` lists them too.

A thread that has entered another network namespace never returns to the pool: each piece of work runs in a thread of
its own, which ends with it. The process's other threads, its event loop among them, stay where they are.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

R = TypeVar("R")

DIRECTORY = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)
_directory_lock = threading.Lock()
_making_lock = threading.Lock()


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None), f"mount {target}")


def _setns(descriptor: int) -> None:
    _check(_libc.setns(descriptor, _CLONE_NEWNET), "setns")


def in_thread(work: Callable[[], R]) -> R:
    """Run ``work`` in a fresh thread and return what it returns, or raise what it raises."""
    results: list[R] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, name="netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def path(namespace: str) -> str:
    """The file that stands for a namespace: a name's file under ``/run/netns``; a path stands for itself."""
    return namespace if namespace.startswith("/") else str(DIRECTORY / namespace)


def _prepare_directory() -> None:
    """Make ``/run/netns`` a shared mount, so that other mount namespaces see binds come and go."""
    with _directory_lock:
        DIRECTORY.mkdir(mode=0o755, exist_ok=True)
        try:
            _mount("none", str(DIRECTORY), _MS_SHARED | _MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            _mount(str(DIRECTORY), str(DIRECTORY), _MS_BIND | _MS_REC)
            _mount("none", str(DIRECTORY), _MS_SHARED | _MS_REC)


def create(name: str) -> str:
    """Make a network namespace, or find the one of this name; its path. Its ``lo`` is down. Raises OSError."""
    _prepare_directory()
    target = path(name)

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        _mount(f"/proc/self/task/{threading.get_native_id()}/ns/net", target, _MS_BIND)

    with _making_lock:  # two interfaces may be plugged into one that is not there yet
        if not exists(name):
            with open(target, "a"):
                pass  # what the namespace is bound over; one left by a process that died half-way will do
            in_thread(make)
    return target


def bind(name: str, pid: int) -> str:
    """Name the network namespace of a process, where the name is not bound yet; its path.

    Raises OSError, FileNotFoundError where the process is gone.
    """
    _prepare_directory()
    target = path(name)
    if not exists(name):
        with open(target, "a"):
            pass
        _mount(f"/proc/{pid}/ns/net", target, _MS_BIND)
    return target


def delete(name: str) -> None:
    """Unbind a namespace; it ends, with its links, once no process or socket is in it. Nothing where there is none."""
    target = path(name)
    while _libc.umount2(target.encode(), _MNT_DETACH) == 0:
        pass  # two processes may have bound it at once
    Path(target).unlink(missing_ok=True)


def exists(name: str) -> bool:
    """Whether a namespace of this name (or at this path) is bound."""
    target = path(name)
    try:
        # A file that nothing is bound to lies on the directory's own file system, a namespace on nsfs.
        return os.stat(target).st_dev != os.stat(os.path.dirname(target)).st_dev
    except FileNotFoundError:
        return False


def names(prefix: str = "") -> list[str]:
    """The names of the namespaces that are bound and begin with ``prefix``, sorted."""
    return [name for name in entries(prefix) if exists(name)]


def entries(prefix: str) -> list[str]:
    """What ``names`` gives and the files of namespaces that were never bound: a process died while making them."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(entry.name for entry in DIRECTORY.iterdir() if entry.name.startswith(prefix))


def run_in(namespace: str, work: Callable[[], R]) -> R:
    """Run ``work`` inside a namespace (name or path; "" is the process's own) and return its result.

    Sockets that it opens stay in that namespace wherever they are used. Blocks: call it through
    ``asyncio.to_thread`` from a coroutine where ``work`` takes long. Raises FileNotFoundError where there is none.
    """
    if not namespace:
        return in_thread(work)  # pyroute2 brings its own event loop, and a thread can only have one
    descriptor = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)

    def enter() -> R:
        _setns(descriptor)
        return work()

    try:
        return in_thread(enter)
    finally:
        os.close(descriptor)


def enter_forever(namespace: str) -> None:
    """Move the calling thread into a namespace for good: for threads that serve only it, never the main thread."""
    if threading.current_thread() is threading.main_thread():
        raise RuntimeError("the main thread must not leave its network namespace")
    descriptor = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(descriptor)
    finally:
        os.close(descriptor)
