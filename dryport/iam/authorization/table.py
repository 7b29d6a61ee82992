"""The table: what ``data/`` holds, a service at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One permission that an operation needs.

    ``on`` are resources as ``type:member|member``; ``keys`` are condition keys with the member, or the ``type:member``
    whose ARN, gives them; ``others`` are keys of AWS's reference that depend on what is stored. ``tags`` and
    ``tag_keys`` are the members with tags or their keys. ``version`` is the action where a VersionId is given. The row
    counts only if the member ``when`` is there, and with ``if_named`` only if one of its resources is.
    """

    action: str
    on: tuple[str, ...] = ()
    keys: dict[str, str] = {}
    fixed: dict[str, str] = {}
    tags: str | None = None
    tag_keys: str | None = None
    version: str | None = None
    when: str | None = None
    if_named: bool = False
    others: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """A service's rows by operation; ``arns`` are templates by type, ``ids`` types by how their ids begin.

    ``pads`` is what an ARN has behind a name that says less than it: a revision, a secret's random characters.
    """

    arns: dict[str, str]
    ids: dict[str, str]
    pads: dict[str, str]
    operations: dict[str, tuple[Row, ...]]


@cache
def table(service: str) -> Table:
    """A service's table. Raises FileNotFoundError for a service that has none."""
    data = (Path(__file__).parent / "data" / f"{service}.json").read_bytes()
    return msgspec.json.decode(data, type=Table)
