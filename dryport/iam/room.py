"""How the control plane plugs IAM in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service


def _service() -> Service:
    from dryport.iam.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """IAM's room."""
    return Room(services={"iam": _service})
