"""An instance's names, addresses and accounts' keys: files of /etc and the homes, written at each boot."""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path
from typing import Any

USER = "ec2-user"
# On AWS's images root's own key only tells who to be.
_FOR_ROOT = (
    "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo 'Please login as the user "
    '\\"ec2-user\\" rather than the user \\"root\\".\';echo;sleep 10;exit 142" '
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(boot: dict[str, Any]) -> None:
    """Write them as the driver said."""
    name = boot["hostname"]
    short = name.partition(".")[0]
    _put("/etc/hostname", f"{name}\n")
    _put("/etc/hosts", f"127.0.0.1 localhost localhost.localdomain\n{boot['address']} {name} {short}\n")
    _put("/etc/resolv.conf", f"nameserver {boot['resolver']}\nsearch {boot['domain']}\noptions timeout:2 attempts:5\n")
    # Names under .localhost are the platform's here, as its name server says; on other machines they are their own.
    _put("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n")
    _put("/etc/machine-id", hashlib.sha256(boot["id"].encode()).hexdigest()[:32] + "\n")
    _put("/etc/environment", "".join(f"{key}={value}\n" for key, value in boot["environment"].items()))
    os.makedirs("/run/lock", mode=0o1777, exist_ok=True)
    authorize(USER, boot["authorized_keys"], "")
    authorize("root", boot["authorized_keys"], _FOR_ROOT)


def _put(path: str, text: str) -> None:
    unfinished = f"{path}.new"
    Path(unfinished).write_text(text)
    os.chmod(unfinished, 0o644)
    os.replace(unfinished, path)


def authorize(account: str, keys: list[str], options: str) -> None:
    """Let who holds one of these keys in, besides whoever the file lists already."""
    if not keys:
        return
    found = pwd.getpwnam(account)
    directory = Path(found.pw_dir, ".ssh")
    directory.mkdir(mode=0o700, exist_ok=True)
    file = directory / "authorized_keys"
    lines = file.read_text().splitlines() if file.exists() else []
    lines += [line for key in keys if (line := f"{options}{key.strip()}") not in lines]
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(0o600)
    for path in (directory, file):
        os.chown(path, found.pw_uid, found.pw_gid)
