"""Who the agent is: its access key, and the container instance that it registered as."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from dryport.agent import ec2
from dryport.client import Credentials


class NoCredentials(Exception):
    """Neither the file nor the environment holds an access key, and this is no EC2 instance with a role."""


class _KeyFile(msgspec.Struct):
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class Identity:
    """The agent's credentials, read again when their file changes, and its registration."""

    def __init__(self, credentials_file: Path | None) -> None:
        self._file = credentials_file
        self.instance = ec2.Instance() if credentials_file is None and not _in_environment() else None
        self._stamp: tuple[float, int] | None = None
        self._key: Credentials | None = None
        self.cluster = ""
        self.instance_arn = ""
        self.availability_zone = ""

    def credentials(self) -> Credentials:
        """The agent's access key now. Raises NoCredentials."""
        if self.instance is not None:
            try:
                return self.instance.credentials()
            except ec2.NotThere as error:
                raise NoCredentials(f"no --credentials, no key in the environment, no role: {error}") from error
        if self._file is None:
            return _from_environment()
        try:
            status = self._file.stat()
            if self._key is None or (status.st_mtime, status.st_ino) != self._stamp:
                self._key = _read(self._file)
                self._stamp = (status.st_mtime, status.st_ino)
        except (OSError, msgspec.MsgspecError) as error:
            if self._key is None:
                raise NoCredentials(f"{self._file}: {error}") from error
        assert self._key is not None
        return self._key


def _read(file: Path) -> Credentials:
    document = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    # AWS writes these in three ways: its agents' camelCase, STS's PascalCase; ours is snake_case.
    named = {name.replace("_", "").lower(): value for name, value in document.items()}
    key = msgspec.convert(
        {
            "access_key_id": named.get("accesskeyid"),
            "secret_access_key": named.get("secretaccesskey"),
            "session_token": named.get("sessiontoken") or named.get("token"),
        },
        _KeyFile,
    )
    return Credentials(key.access_key_id, key.secret_access_key, key.session_token)


def _in_environment() -> bool:
    return bool(os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"))


def _from_environment() -> Credentials:
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None)
