"""AWS's managed policies, with the documents of their default versions.

``policies.zip``, made by ``bin/_managed_policies.py``, has a member a policy, and ``index.json`` with what is known of
each: nothing of it stays in memory, a document is read when somebody asks for it.

Source: "AWS managed policy reference guide".
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

import msgspec

_ARN = "arn:{}:iam::aws:policy/"
_INDEX = "index"
_PACKED = Path(__file__).parent / "policies.zip"


class Managed(msgspec.Struct, frozen=True, array_like=True):
    """A managed policy: its path with its name, its default version, its times."""

    path_and_name: str
    version: str
    created: datetime
    updated: datetime

    @property
    def name(self) -> str:
        """The name, without the path."""
        return self.path_and_name.rpartition("/")[2]

    @property
    def path(self) -> str:
        """``/``, ``/service-role/`` and the like."""
        return "/" + self.path_and_name[: len(self.path_and_name) - len(self.name)]

    def arn(self, partition: str = "aws") -> str:
        """Its ARN."""
        return _ARN.format(partition) + self.path_and_name


def listed() -> list[Managed]:
    """Every managed policy, in the order of their ARNs."""
    return msgspec.json.decode(_read(_INDEX) or b"[]", type=list[Managed])


@lru_cache(maxsize=64)
def document(arn: str) -> str | None:
    """The document of a managed policy's default version, ``None`` where AWS has no policy of this ARN."""
    partition = arn.split(":", 2)[1] if arn.startswith("arn:") else ""
    path = arn.removeprefix(_ARN.format(partition))
    text = _read(path) if path not in (arn, _INDEX) else None
    return text.decode() if text is not None else None


def _read(name: str) -> bytes | None:
    import zipfile  # a megabyte of the control plane's memory, with what it imports

    with zipfile.ZipFile(_PACKED) as archive:
        try:
            return archive.read(f"{name}.json")
        except KeyError:
            return None
