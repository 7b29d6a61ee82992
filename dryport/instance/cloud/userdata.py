"""User data as cloud-init takes it: scripts, cloud-config, boot hooks, gzipped, and several of them as MIME parts.

Source: cloud-init's documentation, "User-data formats"; EC2 user guide, "Run commands when you launch an EC2 instance".
"""

from __future__ import annotations

import base64
import email
import subprocess
import zlib
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from dryport.instance.cloud import config
from dryport.instance.services import find

LOG = "/var/log/cloud-init-output.log"
_MOST = 8 << 20  # bytes of user data once it is unpacked
_SCRIPT, _CONFIG, _HOOK = "text/x-shellscript", "text/cloud-config", "text/cloud-boothook"
_STARTS = {b"#!": _SCRIPT, b"#cloud-config": _CONFIG, b"#cloud-boothook": _HOOK}


class Part(NamedTuple):
    """One piece: its MIME type and what it holds."""

    kind: str
    content: bytes


class UserData:
    """The user data of one instance, in pieces, in their order."""

    def __init__(self, parts: list[Part], home: Path) -> None:
        self._home = home
        self._scripts = [part.content for part in parts if part.kind == _SCRIPT]
        self._hooks = [part.content for part in parts if part.kind == _HOOK]
        self._config = config.CloudConfig([part.content for part in parts if part.kind == _CONFIG])
        for part in parts:
            if part.kind not in (_SCRIPT, _CONFIG, _HOOK):
                print(f"cloud-init: user data of the type {part.kind!r} is not executed", flush=True)

    def prepare(self, first: bool) -> None:
        """What comes before the services: boot hooks and ``bootcmd`` at every boot, files at the first one."""
        self._run_all("boothooks", self._hooks)
        if commands := self._config.boot_commands():
            self._run_all("bootcmd", [commands])
        if first:
            self._config.report()
            self._config.write_files()
            self._config.authorize()

    def execute(self) -> None:
        """``runcmd``, then the scripts, as root."""
        self._config.write_files(late=True)
        if commands := self._config.commands():
            self._run_all("runcmd", [commands])
        failed = self._run_all("scripts", self._scripts)
        if failed:
            print(f"cloud-init: {failed} of {len(self._scripts)} user data scripts failed", flush=True)

    def _run_all(self, name: str, scripts: list[bytes]) -> int:
        failed = 0
        for number, content in enumerate(scripts, 1):
            directory = self._home / name
            directory.mkdir(mode=0o700, exist_ok=True)
            file = directory / f"part-{number:03d}"
            file.write_bytes(content)
            file.chmod(0o700)
            failed += not run(file)
        return failed


def read(encoded: str, home: Path) -> UserData:
    """Take user data apart; it is kept as it came, too."""
    data = base64.b64decode(encoded)
    kept = home / "user-data.txt"
    kept.touch(mode=0o600)
    kept.write_bytes(data)
    return UserData(split(data), home)


def split(data: bytes) -> list[Part]:
    """The parts of user data."""
    data = _unpacked(data)
    if not data.strip():
        return []
    head = data[:4096].lower()
    if head.startswith((b"content-type:", b"mime-version:")) or b"\ncontent-type: multipart/" in head:
        return _mime(email.message_from_bytes(data))
    return [Part(_kind(data, "text/x-not-multipart"), data)]


def _mime(message: Message) -> list[Part]:
    parts = []
    for part in message.walk():
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        content = _unpacked(payload if isinstance(payload, bytes) else b"")
        told = part.get_content_type()
        # A type that tells nothing is told by how the content begins.
        known = told if told in (_SCRIPT, _CONFIG, _HOOK) else _kind(content, told)
        parts.append(Part(known, content))
    return parts


def _kind(content: bytes, otherwise: str) -> str:
    return next((kind for start, kind in _STARTS.items() if content.startswith(start)), otherwise)


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, _MOST)
    except zlib.error as error:
        print(f"cloud-init: user data cannot be unpacked: {error}", flush=True)
        return b""


def run(file: Path) -> bool:
    """Execute a script; what it prints goes to the console and the log. Whether it succeeded."""
    tee = subprocess.Popen([find("tee"), "-a", LOG], stdin=subprocess.PIPE)
    assert tee.stdin is not None
    try:
        done = subprocess.run(
            [str(file)], stdin=subprocess.DEVNULL, stdout=tee.stdin, stderr=tee.stdin, cwd="/", check=False
        )
        status: int | str = done.returncode
    except OSError as error:
        status = f"{error.strerror}"
    tee.stdin.close()
    try:
        tee.wait(1.0)
    except subprocess.TimeoutExpired:
        pass  # something that the script left behind still writes
    if status:
        print(f"cloud-init: failed running {file} [{status}]", flush=True)
    return not status
