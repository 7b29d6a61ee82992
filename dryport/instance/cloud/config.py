"""``#cloud-config``: the modules of cloud-init that instances have. What is not acted on is told on the console."""

from __future__ import annotations

import base64
import os
import pwd
import shlex
import shutil
import zlib
from pathlib import Path
from typing import Any

from dryport.instance.cloud import identity

_ACTED_ON = {"bootcmd", "write_files", "runcmd", "ssh_authorized_keys"}


class CloudConfig:
    """Several documents as one: later ones' keys win."""

    def __init__(self, documents: list[bytes]) -> None:
        self._settings: dict[str, Any] = {}
        for document in documents:
            self._settings |= _parse(document)

    def report(self) -> None:
        """Say what is not acted on."""
        for name in sorted(self._settings.keys() - _ACTED_ON):
            print(f"cloud-config: {name!r} is not acted on by Dryport's images", flush=True)

    def boot_commands(self) -> bytes:
        """``bootcmd`` as a script, empty where there is none."""
        return _script(self._settings.get("bootcmd"), "bootcmd")

    def commands(self) -> bytes:
        """``runcmd`` as a script, empty where there is none."""
        return _script(self._settings.get("runcmd"), "runcmd")

    def write_files(self, late: bool = False) -> None:
        """``write_files``: those that are deferred if ``late``, otherwise the others."""
        for file in self._settings.get("write_files") or ():
            try:
                if bool(file.get("defer")) == late:
                    _write(file)
            except (KeyError, TypeError, ValueError, AttributeError, OSError, LookupError, zlib.error) as error:
                print(f"cloud-config: write_files {file!r:.200}: {error!r}", flush=True)

    def authorize(self) -> None:
        """``ssh_authorized_keys``."""
        keys = self._settings.get("ssh_authorized_keys") or []
        identity.authorize(identity.USER, [str(key) for key in keys], "")


def _parse(document: bytes) -> dict[str, Any]:
    import yaml  # few user data need it

    try:
        parsed = yaml.safe_load(document)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        print(f"cloud-config: failed loading yaml blob: {error}", flush=True)
        return {}
    if parsed is not None and not isinstance(parsed, dict):
        print(f"cloud-config: a mapping is wanted, not {type(parsed).__name__}", flush=True)
        return {}
    return parsed or {}


def _script(commands: Any, name: str) -> bytes:
    if not commands:
        return b""
    if not isinstance(commands, list):
        print(f"cloud-config: {name} must be a list", flush=True)
        return b""
    lines = ["#!/bin/sh"]
    for command in commands:
        if isinstance(command, list):
            lines.append(" ".join(shlex.quote(str(word)) for word in command))
        elif command is not None:
            lines.append(str(command))
    return ("\n".join(lines) + "\n").encode()


def _write(file: dict[str, Any]) -> None:
    path = Path(file["path"])
    content = _decode(file.get("content", ""), str(file.get("encoding", "")).lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if file.get("append") else "wb") as target:
        target.write(content)
    permissions = file.get("permissions", "0644")
    os.chmod(path, permissions if isinstance(permissions, int) else int(str(permissions), 8))
    if owner := file.get("owner"):
        user, _, group = str(owner).partition(":")
        shutil.chown(path, user or None, group or pwd.getpwnam(user).pw_gid)


def _decode(content: Any, encoding: str) -> bytes:
    data = content if isinstance(content, bytes) else str(content).encode()
    if encoding.endswith(("b64", "base64")):
        data = base64.b64decode(data)
    if encoding.startswith(("gz", "gzip")):
        data = zlib.decompress(data, wbits=31)
    return data
