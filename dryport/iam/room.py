"""How the control plane plugs IAM in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service


def _service() -> Service:
    from dryport.iam.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """IAM's room, and the accounts that Dryport's own operations make."""

    def own() -> Service:
        from dryport.iam.api import accounts

        return accounts.service(context.config.account)

    return Room(services={"iam": _service, "dryport": own})
