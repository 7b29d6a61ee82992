"""What is stored of CloudWatch Logs in the store: log groups. Streams and events are in ``storage``."""

from __future__ import annotations

import msgspec

from dryport.aws import arn
from dryport.store import Reader, Table


class LogGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A log group. ``number`` names it in the event storage, so that a name may be used again after a deletion.

    ``created`` is in milliseconds since the epoch, ``retention`` in days, ``None`` where events never expire.
    """

    account: str
    region: str
    name: str
    number: int
    created: int
    retention: int | None = None
    tags: dict[str, str] = {}
    deletion_protection: bool = False

    @property
    def arn(self) -> str:
        """The ARN that IAM policies and tags name the group by, without the ``:*`` of its streams."""
        return arn.make("logs", self.region, self.account, f"log-group:{self.name}")


def scope(account: str, region: str) -> str:
    """The index value for the groups of an account in a region."""
    return f"{account}/{region}"


def key(account: str, region: str, name: str) -> str:
    """The key of a group."""
    return f"{account}/{region}/{name}"


LOG_GROUPS = Table(
    "logs.group",
    LogGroup,
    key=lambda g: key(g.account, g.region, g.name),
    indexes={"scope": lambda g: scope(g.account, g.region)},
)


def find(reader: Reader, account: str, region: str, name: str) -> LogGroup | None:
    """The group of this name, or ``None``."""
    return reader.get(LOG_GROUPS, key(account, region, name))
