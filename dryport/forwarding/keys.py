"""The keys that requests to upstreams are signed with: a file in the format of AWS's shared credentials file.

A profile is called as a service (botocore's name) or ``default``. ``aws_account_id`` says whose the upstream's
resources are. Source: "Shared config and credentials files", AWS SDKs and tools reference guide.
"""

from __future__ import annotations

import configparser
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT = "default"


class Unusable(Exception):
    """The file cannot be used; the text says why, and holds nothing of what stands in it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an upstream's; ``account`` is empty where the file does not say it."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    account: str = ""


# What is signed with where there is no file: emulators do not look, and AWS refuses it.
NOBODY = Key("dryport", "dryport")


def read(path: Path) -> dict[str, Key]:
    """The keys of a file by profile. Raises Unusable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor) as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise Unusable(f"{path} may be read by others (its mode is {mode:04o}): chmod 600 {path}")
        parser = configparser.RawConfigParser()
        try:
            parser.read_file(file)
        except (configparser.Error, UnicodeDecodeError):
            raise Unusable(f"{path} is not in the format of AWS's credentials files") from None
    return {name: _key(path, name, parser[name]) for name in parser.sections()}


def _key(path: Path, profile: str, section: configparser.SectionProxy) -> Key:
    missing = [name for name in ("aws_access_key_id", "aws_secret_access_key") if not section.get(name)]
    if missing:
        raise Unusable(f"the profile {profile} of {path} has no {' and no '.join(missing)}")
    account = section.get("aws_account_id", "")
    return Key(
        section["aws_access_key_id"],
        section["aws_secret_access_key"],
        section.get("aws_session_token") or None,
        account,
    )


class Keys:
    """The keys of a file, read anew when it changes: whoever renews them need not start anything again."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._read: tuple[tuple[int, int], dict[str, Key]] | None = None

    def of(self, service: str) -> Key:
        """The key of a service's upstream. Raises Unusable."""
        if self._path is None:
            return NOBODY
        try:
            facts = self._path.stat()
        except OSError as error:
            raise Unusable(f"{self._path} cannot be read: {error.strerror}") from None
        version = facts.st_mtime_ns, facts.st_ino
        if self._read is None or self._read[0] != version:
            self._read = version, read(self._path)
        found = self._read[1].get(service) or self._read[1].get(DEFAULT)
        if found is None:
            raise Unusable(f"{self._path} has neither a profile {service} nor a profile {DEFAULT}")
        return found
