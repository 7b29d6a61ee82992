"""How the control plane plugs IAM in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """IAM's room, with server certificates sealed under ``<state>/sealing.key``, and the accounts that Dryport's own
    operations make."""

    def service() -> Service:
        from dryport.iam import api

        return api.service(Sealer(context.config.state_dir / "sealing.key", context.random))

    def own() -> Service:
        from dryport.iam.api import accounts

        return accounts.service(context.config.account)

    return Room(services={"iam": service, "dryport": own})
