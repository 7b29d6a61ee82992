"""The SSH server's settings and its host keys, where one is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dryport.instance.services import find, variables

_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
_SETTINGS = Path("/etc/ssh/sshd_config")
# Keys let in, passwords do not. Without PAM, whose modules are the machine's and may want what is not here.
_TEXT = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
X11Forwarding no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
Include /etc/ssh/sshd_config.d/*.conf
"""
_ENVIRONMENT = Path("/etc/ssh/sshd_config.d/10-dryport.conf")


def prepare(first: bool) -> bool:
    """Make keys at an instance's first boot, tell them on the console; false where no server is installed."""
    if not find("/usr/sbin/sshd") or not find("ssh-keygen"):
        return False
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    environment = " ".join(f'"{name}={value}"' for name, value in variables("/etc/environment").items())
    if not _SETTINGS.exists():
        _SETTINGS.write_text(_TEXT)
    _ENVIRONMENT.parent.mkdir(mode=0o755, exist_ok=True)
    _ENVIRONMENT.write_text(f"SetEnv {environment}\n" if environment else "")
    if first or not _KEY.exists():
        for old in Path("/etc/ssh").glob("ssh_host_*"):
            old.unlink()
        comment = f"root@{os.uname().nodename.partition('.')[0]}"
        subprocess.run(
            [find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(_KEY)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        shown = subprocess.run([find("ssh-keygen"), "-l", "-f", str(_KEY)], capture_output=True, text=True).stdout
        public = _KEY.with_suffix(".pub").read_text()
        print(f"-----BEGIN SSH HOST KEY FINGERPRINTS-----\n{shown}-----END SSH HOST KEY FINGERPRINTS-----")
        print(f"-----BEGIN SSH HOST KEY KEYS-----\n{public}-----END SSH HOST KEY KEYS-----", flush=True)
    return True
