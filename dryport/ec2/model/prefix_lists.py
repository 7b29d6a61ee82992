"""Managed prefix lists: named sets of blocks for rules and routes."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope_of, token
from dryport.store import Table


class PrefixListEntry(Record, frozen=True, kw_only=True):
    cidr: str
    description: str = ""


class PrefixList(Resource, frozen=True, kw_only=True):
    """``versions`` holds the entries of every version, the first one's at 0."""

    name: str
    address_family: str
    max_entries: int
    versions: list[list[PrefixListEntry]]
    state: str = "create-complete"
    client_token: str = ""

    @property
    def entries(self) -> list[PrefixListEntry]:
        """Those of the current version."""
        return self.versions[-1]


PREFIX_LISTS = Table(
    "ec2.prefix_list",
    PrefixList,
    key=lambda p: p.id,
    indexes={"scope": scope_of, "token": lambda p: token(p.account, p.region, p.client_token)},
)
