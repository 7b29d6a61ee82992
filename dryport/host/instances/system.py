"""What a fresh root disk holds: the machine's own system, less what is the machine's own business.

The programs are the machine's: ``/usr`` and the like are lower layers of overlays, which an instance writes over on its
own disk. ``/etc`` is copied once, without what not everybody may read (keys, passwords) and what tells of the machine
(accounts, addresses, names). All else begins empty: nothing of homes, data or Dryport's state is below an instance.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

import dryport

_TOP = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PACKAGES = ("dpkg", "apt", "pam", "ucf", "python", "rpm", "dnf", "systemd/deb-systemd-helper-enabled")
_EMPTY = {
    "boot": 0o755,
    "dev": 0o755,
    "home": 0o755,
    "media": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "srv": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/local": 0o755,
    "var/log": 0o755,
    "var/mail": 0o755,
    "var/opt": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
}
# In /etc: what tells of this machine, or is written anew for each instance.
_OWN = {
    "adjtime",
    "cloud",
    "containerd",
    "crypttab",
    "docker",
    "dryport",
    "ecs",
    "environment",
    "fstab",
    "group",
    "gshadow",
    "hostname",
    "hosts",
    "letsencrypt",
    "machine-id",
    "mtab",
    "netplan",
    "network",
    "nsswitch.conf",
    "passwd",
    "resolv.conf",
    "shadow",
    "ssh/sshd_config",
    "subgid",
    "subuid",
    "sudoers.d",
    "wireguard",
}
_COMMANDS = {"sbin": ("shutdown", "poweroff", "reboot", "halt", "service"), "bin": ("systemctl",)}
_COMMAND = """#!/bin/sh
exec /run/dryport/python -I -S /run/dryport/instance/commands.py {name} "$@"
"""
_MOUNT_EFS = """#!/bin/sh
exec /run/dryport/python -I -S /run/dryport/instance/mount_efs.py "$@"
"""
_USER = "ec2-user"
_NOBODY = 65534
_FIRST_PERSON = 1000


def layers() -> list[str]:
    """The machine's directories that lie below an instance's, absolute."""
    found = [f"/{name}" for name in _TOP if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")]
    return found + [f"/var/lib/{name}" for name in _PACKAGES if os.path.isdir(f"/var/lib/{name}")]


def dryport_paths() -> list[str]:
    """Where Python, its packages and Dryport lie: an instance has them at the same paths, to read."""
    below = [f"{layer}/" for layer in layers()]
    wanted = [sys.base_prefix, sys.prefix, str(Path(dryport.__file__).parent)]
    paths = [os.path.realpath(path) for path in wanted]
    outside = [path for path in dict.fromkeys(paths) if not any(f"{path}/".startswith(layer) for layer in below)]
    return [path for path in outside if not any(path.startswith(f"{other}/") for other in outside)]


def fingerprint() -> str:
    """Changes when the machine's system does: a root disk made before is then no copy of it any more."""
    marks = []
    for path in ("/etc", "/etc/alternatives", "/etc/passwd", "/etc/ssl/certs", "/var/lib/dpkg/status"):
        try:
            marks.append(os.stat(path).st_mtime_ns)
        except OSError:
            marks.append(0)
    return hashlib.sha256(repr((_VERSION, marks, layers())).encode()).hexdigest()[:12]


def lay_out(disk: Path) -> None:
    """Fill an empty directory with what a root disk holds: ``root``, and ``layers`` for what is written over /usr."""
    root = disk / "root"
    root.mkdir(mode=0o755)
    for name, mode in _EMPTY.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    (root / "var/run").symlink_to("/run")
    (root / "var/lock").symlink_to("/run/lock")
    for name in _TOP:
        if os.path.islink(f"/{name}"):
            (root / name).symlink_to(os.readlink(f"/{name}"))
    for layer in layers():
        (root / layer.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for half in ("upper", "work"):
            (disk / "layers" / layer_name(layer) / half).mkdir(parents=True)
        shutil.copystat(layer, disk / "layers" / layer_name(layer) / "upper")
    _add_commands(disk)
    _copy_settings(Path("/etc"), root / "etc")
    _write_accounts(root)
    _make_home(root)


def _add_commands(disk: Path) -> None:
    """Put the commands that speak to an instance's init where the machine may have its own init's."""
    for layer in layers():
        upper = disk / "layers" / layer_name(layer) / "upper"
        for directory, names in _COMMANDS.items():
            if layer == "/usr":
                place = _directory(upper, directory)
            elif layer == f"/{directory}":
                place = upper
            else:
                continue
            for name in names:
                (place / name).write_text(_COMMAND.format(name=name))
                (place / name).chmod(0o755)
            if directory == "sbin":  # where mount(8) looks for it
                (place / "mount.efs").write_text(_MOUNT_EFS)
                (place / "mount.efs").chmod(0o755)
    local = _directory(disk / "layers/usr/upper", "local/sbin")
    shutil.copyfile(Path(dryport.__file__).parent / "instance/runc.sh", local / "runc")
    (local / "runc").chmod(0o755)


def _directory(upper: Path, path: str) -> Path:
    """A directory of what is written over /usr, and those above it, as they are in /usr."""
    current = Path("/usr")
    for part in Path(path).parts:
        current, upper = current / part, upper / part
        if not upper.exists():
            upper.mkdir()
            if current.is_dir():
                shutil.copystat(current, upper)
    return upper


def layer_name(path: str) -> str:
    """The directory of a disk that holds what is written over one of ``layers``."""
    return path.strip("/").replace("/", "-")


def _copy_settings(source: Path, target: Path, below: str = "") -> None:
    """Copy a directory of /etc, what everybody may read of it."""
    target.mkdir()
    shutil.copystat(source, target)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        name = f"{below}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if name.rstrip("-") in _OWN or name.startswith("ssh/ssh_host_"):
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry.path))
        elif not status.st_mode & stat.S_IROTH:
            continue
        elif entry.is_dir():
            _copy_settings(source / entry.name, target / entry.name, f"{name}/")
        elif entry.is_file():
            _copy_file(entry.path, target / entry.name, status)
        os.chown(target / entry.name, status.st_uid, status.st_gid, follow_symlinks=False)


def _copy_file(source: str, target: Path, status: os.stat_result) -> None:
    shutil.copyfile(source, target)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _write_accounts(root: Path) -> None:
    """The system's accounts and groups without the machine's people, without passwords, and AWS's ``ec2-user``."""
    accounts = [line for line in _lines("/etc/passwd") if _is_system(line)]
    groups = [line for line in _lines("/etc/group") if _is_system(line)]
    names = {line.split(":")[0] for line in accounts}
    accounts.append(f"{_USER}:x:{_FIRST_PERSON}:{_FIRST_PERSON}:EC2 Default User:/home/{_USER}:/bin/bash")
    groups = [_group(line, names) for line in groups] + [f"{_USER}:x:{_FIRST_PERSON}:"]
    shadow = [f"{line.split(':')[0]}:*:19700:0:99999:7:::" for line in accounts]
    ids = {line.split(":")[0]: int(line.split(":")[2]) for line in groups}
    for name, lines, mode in (
        ("passwd", accounts, 0o644),
        ("group", groups, 0o644),
        ("shadow", shadow, 0o640),
        ("subuid", [f"{_USER}:100000:65536"], 0o644),
        ("subgid", [f"{_USER}:100000:65536"], 0o644),
    ):
        file = root / "etc" / name
        file.write_text("".join(f"{line}\n" for line in lines))
        file.chmod(mode)
        if name == "shadow":
            os.chown(file, 0, ids.get("shadow", 0))
    allowed = root / "etc/sudoers.d"
    allowed.mkdir(mode=0o750)
    (allowed / "90-cloud-init-users").write_text(f"{_USER} ALL=(ALL) NOPASSWD:ALL\n")
    (allowed / "90-cloud-init-users").chmod(0o440)
    sudoers = root / "etc/sudoers"  # the machine's is for its administrators' eyes
    sudoers.write_text(
        "Defaults env_reset\n"
        'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\n'
        "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"
    )
    sudoers.chmod(0o440)


def _is_system(line: str) -> bool:
    fields = line.split(":")
    return len(fields) > 2 and fields[2].isdigit() and (int(fields[2]) < _FIRST_PERSON or int(fields[2]) == _NOBODY)


def _group(line: str, names: set[str]) -> str:
    """A group with the members that exist; ``docker`` and those of administrators have ``ec2-user`` in them."""
    name, _, number, listed = line.split(":")[:4]
    members = [member for member in listed.split(",") if member in names]
    if name in ("docker", "adm", "wheel", "sudo", "systemd-journal"):
        members.append(_USER)
    return f"{name}:x:{number}:{','.join(members)}"


def _make_home(root: Path) -> None:
    home = root / "home" / _USER
    home.mkdir(mode=0o700)
    for name in os.listdir("/etc/skel") if os.path.isdir("/etc/skel") else ():
        if os.path.isfile(f"/etc/skel/{name}"):
            shutil.copy2(f"/etc/skel/{name}", home / name)
            os.chown(home / name, _FIRST_PERSON, _FIRST_PERSON)
    os.chown(home, _FIRST_PERSON, _FIRST_PERSON)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


_VERSION = 2  # of what ``lay_out`` makes
