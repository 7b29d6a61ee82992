"""The small program that makes an instance's namespaces: started by the driver, it becomes the instance's init.

Its plan is JSON on standard input; its answer is a JSON object: ``{"pid": …}`` once the init runs, or ``{"error": …}``.
Only the standard library is used and nothing is mounted where anybody else sees it: every mount lies in a namespace
that ends with the instance, and the loop device ends with the mount.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from pathlib import Path
from typing import NoReturn, TypedDict

sys.path.insert(0, str(Path(__file__).parents[3]))
from dryport.host import blocks, mounts
from dryport.host.instances import confine

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWPID = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000
_NEWNET = 0x40000000
_TMPFS = mounts.MS_NOSUID | mounts.MS_NODEV
_PSEUDO = _TMPFS | mounts.MS_NOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
# Of /proc: what tells of the machine or moves it (as Docker masks it), and what may not be written.
_MASKED = ("acpi", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi", "kmsg")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


class Plan(TypedDict):
    """What to make. Paths are the machine's."""

    disk: str
    mount: str
    layers: dict[str, str]  # the machine's directories, and where on the disk lies what is written over them
    shared: dict[str, list[str]]  # directories that appear at the same path, to read, and what lies over them
    filesystems: str
    console: str
    status: str
    groups: list[str]  # the cgroup.procs files of the instance
    hierarchies: dict[str, str]
    namespace: str
    hostname: str
    devices: list[tuple[str, str, int, int, int]]
    links: dict[str, str]  # in /dev: what they lead to
    boot: dict[str, object]  # what ``dryport.instance`` is told, in /run/dryport/boot.json
    python: str
    package: str
    argv: list[str]
    environment: dict[str, str]


def main() -> None:
    """Make the namespaces; the process ends once the instance's init runs."""
    plan: Plan = json.load(sys.stdin)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = _enter(plan, reader, writer)
        os.close(writer)
        with os.fdopen(reader) as answer:
            failure = answer.read()
    except OSError as error:
        pid, failure = 0, str(error)
    print(json.dumps({"error": failure} if failure else {"pid": pid}))


def _enter(plan: Plan, reader: int, writer: int) -> int:
    """The process id of the instance's first process, which is about to become its init."""
    console = os.open(plan["console"], os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    status = os.open(plan["status"], os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    network = os.open(plan["namespace"], os.O_RDONLY | os.O_CLOEXEC)
    _check(_libc.unshare(_NEWNS), "unshare")
    mounts.change("/", mounts.MS_SLAVE | mounts.MS_REC)
    _mount_disk(plan)
    # From here on the instance's cgroups bind: its devices, its memory.
    for file in plan["groups"]:
        Path(file).write_text("0")
    _check(_libc.setns(network, _NEWNET), "setns")
    _check(_libc.unshare(_NEWCGROUP | _NEWUTS | _NEWIPC | _NEWPID), "unshare")
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            _become_init(plan, console, status)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    return pid


def _mount_disk(plan: Plan) -> None:
    """Mount the root volume at ``mount``, and the machine's programs in the instance's root, ``mount/root``."""
    device, name = blocks.attach(Path(plan["disk"]))
    disk = Path(plan["mount"])
    try:
        mounts.mount(name, disk, "ext4", "noinit_itable,discard", mounts.MS_NOATIME)
    finally:
        os.close(device)
    root = _directory(disk, "root")
    mounts.bind(root, root)
    for layer, name in plan["layers"].items():
        upper, work = (_directory(disk, f"layers/{name}/{half}") for half in ("upper", "work"))
        mounts.overlay([layer], upper, work, _directory(root, layer))
    # Not bound, but below an overlay that has no upper layer: nobody inside can make that writable.
    empty = _directory(disk, "empty")
    for path, over in plan["shared"].items():
        target = _directory(root, path)
        mounts.mount("dryport", target, "overlay", f"lowerdir={':'.join([*over, path, str(empty)])}")


def _directory(below: Path, path: str) -> Path:
    """A directory on the root volume, made where there is none.

    What is on a volume its owner has written: no link is followed, which could lead to the machine's own files.
    """
    place = below
    for part in Path(path.lstrip("/")).parts:
        place /= part
        try:
            place.mkdir(mode=0o755)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                raise NotADirectoryError(f"/{place.relative_to(below)} on the root volume is no directory") from None
    return place


def _become_init(plan: Plan, console: int, status: int) -> NoReturn:
    os.setsid()
    root = Path(plan["mount"], "root")
    name = plan["hostname"].encode()
    _check(_libc.sethostname(name, len(name)), "sethostname")
    proc, sys_, dev, run = (_directory(root, name) for name in ("proc", "sys", "dev", "run"))
    mounts.mount("proc", proc, "proc", "", _PSEUDO)
    _mask(proc, aside=dev)
    _mount_sys(sys_, plan["hierarchies"])
    _make_dev(dev, plan["devices"], plan["links"])
    mounts.mount("tmpfs", run, "tmpfs", "mode=755", _TMPFS)
    _fill_run(run / "dryport", plan)
    _pivot(root)
    mounts.change("/", mounts.MS_SHARED | mounts.MS_REC)
    confine.confine()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number, source in enumerate((null, console, console, status)):
        os.set_inheritable(number, True) if source == number else os.dup2(source, number)
    os.umask(0o022)
    os.chdir("/")
    os.execve(plan["argv"][0], plan["argv"], plan["environment"])


def _mask(proc: Path, aside: Path) -> None:
    """Hide what is the machine's. ``aside`` is a directory that nothing is mounted at yet."""
    for name in _MASKED:
        if (proc / name).is_dir():
            mounts.mount("tmpfs", proc / name, "tmpfs", "size=0", _TMPFS | mounts.MS_RDONLY)
        elif (proc / name).exists():
            mounts.bind(Path("/dev/null"), proc / name)
    # The network's settings belong to the instance's own namespace: they stay writable below what is not.
    mounts.bind(proc / "sys/net", aside)
    for name in _READ_ONLY:
        if (proc / name).exists():
            mounts.bind(proc / name, proc / name)
            mounts.change(proc / name, mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY | _PSEUDO)
    mounts.bind(aside, proc / "sys/net")
    mounts.unmount(aside)


def _mount_sys(target: Path, hierarchies: dict[str, str]) -> None:
    mounts.mount("sysfs", target, "sysfs", "", _PSEUDO | mounts.MS_RDONLY)
    groups = target / "fs/cgroup"
    if "" in hierarchies.values() and len(hierarchies) == 1:
        mounts.mount("cgroup2", groups, "cgroup2", "", _PSEUDO)
        _leave_root_group(groups)
        return
    mounts.mount("tmpfs", groups, "tmpfs", "mode=755", _PSEUDO)
    for directory, controllers in hierarchies.items():
        if controllers:
            here = groups / Path(directory).name
            here.mkdir()
            options = f"none,{controllers}" if controllers.startswith("name=") else controllers
            mounts.mount("cgroup", here, "cgroup", options, _PSEUDO)


def _leave_root_group(groups: Path) -> None:
    """A group of version 2 with groups below it holds no process itself."""
    (groups / "init").mkdir(exist_ok=True)
    (groups / "init/cgroup.procs").write_text("0")
    for controller in (groups / "cgroup.controllers").read_text().split():
        (groups / "cgroup.subtree_control").write_text(f"+{controller}")


def _make_dev(dev: Path, devices: list[tuple[str, str, int, int, int]], links: dict[str, str]) -> None:
    mounts.mount("tmpfs", dev, "tmpfs", "mode=755,size=1m", mounts.MS_NOSUID)
    os.umask(0)
    for name, (major, minor) in _NODES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    for name, target in {**_LINKS, **links}.items():
        (dev / name).symlink_to(target)
    for name, kind, major, minor, mode in devices:
        (dev / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.mknod(dev / name, (stat.S_IFBLK if kind == "b" else stat.S_IFCHR) | mode, os.makedev(major, minor))
    for name, mode in {"net": 0o755, "pts": 0o755, "shm": 0o1777, "mqueue": 0o755}.items():
        (dev / name).mkdir(mode=mode)
    os.mknod(dev / "net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
    os.mknod(dev / "fuse", stat.S_IFCHR | 0o666, os.makedev(10, 229))
    os.mkfifo(dev / "console", 0o620)  # the init reads it into the console
    mounts.mount("devpts", dev / "pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5", mounts.MS_NOSUID)
    mounts.mount("tmpfs", dev / "shm", "tmpfs", "mode=1777", _TMPFS)
    mounts.mount("mqueue", dev / "mqueue", "mqueue", "", _TMPFS)


def _fill_run(run: Path, plan: Plan) -> None:
    """What Dryport has inside: its Python, its programs, what the boot is told, the file systems that are mounted."""
    run.mkdir(mode=0o755)
    (run / "filesystems").mkdir(mode=0o755)
    mounts.bind(Path(plan["filesystems"]), run / "filesystems", recursive=True)
    (run / "python").symlink_to(plan["python"])
    (run / "instance").symlink_to(plan["package"])
    boot = os.open(run / "boot.json", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(boot, "w") as file:
        json.dump(plan["boot"], file)


def _pivot(root: Path) -> None:
    """Make ``root`` the root of the mount namespace; nothing of the machine's stays in sight."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    mounts.unmount_top(".")
    os.chdir("/")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
