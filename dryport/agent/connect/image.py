"""The file system of a proxy's container: the machine's own HAProxy with the libraries that it needs, and no more."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

from dryport.agent.runtime import RuntimeFailure

PROGRAM = "/usr/sbin/haproxy"
_making = threading.Lock()  # several tasks may be the first
_DIRECTORIES = ("etc", "tmp", "run/dryport-connect", "dev", "proc", "sys")


def make(home: Path) -> tuple[Path, str]:
    """The directory below ``home`` with the file system, and its digest (``sha256:…``). Blocks; idempotent.

    Raises RuntimeFailure where this machine has no HAProxy.
    """
    if not os.access(PROGRAM, os.X_OK):
        raise RuntimeFailure(
            "CannotPullContainerError", f"Service Connect needs HAProxy on this machine ({PROGRAM}): install haproxy"
        )
    files = {PROGRAM: Path(PROGRAM), **_libraries()}
    digest = hashlib.sha256()
    for name, source in sorted(files.items()):
        status = source.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    root = home / digest.hexdigest()[:16]
    with _making:
        _fill(root, files)
    return root, f"sha256:{digest.hexdigest()}"


def _fill(root: Path, files: dict[str, Path]) -> None:
    home = root.parent
    if not root.exists():
        unfinished = home / f"{root.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        for directory in _DIRECTORIES:
            (unfinished / directory).mkdir(parents=True)
        for name, source in files.items():
            target = unfinished / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755)
        for each in (home, unfinished):
            each.chmod(0o755)
        unfinished.rename(root)


def _libraries() -> dict[str, Path]:
    """The libraries by the names under which the loader looks for them (ldd(1))."""
    said = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=False).stdout
    found = {}
    for line in said.splitlines():
        words = line.split()
        path = next((word for word in words if word.startswith("/")), None)
        if path is not None:
            found[path] = Path(path).resolve()
    return found
