"""What everything stored of EC2 has in common. Ids are keys; times are seconds since the epoch.

Everything belongs to an account in a region (the index ``scope``). ``tags`` are in the order they were made.
"""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored: frozen, new members have defaults so that old rows still decode."""


class Resource(Record, frozen=True, kw_only=True):
    """What has an id, an owner and tags."""

    id: str
    account: str
    region: str
    tags: dict[str, str] = {}


def scope(account: str, region: str) -> str:
    """The index value for what belongs to an account in a region."""
    return f"{account}/{region}"


def token(account: str, region: str, client_token: str) -> str | None:
    """The index value for what a request with a client token made; ``None`` without one."""
    return f"{scope(account, region)}/{client_token}" if client_token else None


def scope_of(resource: Resource) -> str:
    """The index ``scope`` of a resource."""
    return scope(resource.account, resource.region)
