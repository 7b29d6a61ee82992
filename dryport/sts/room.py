"""How the control plane plugs STS in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service


def _service() -> Service:
    from dryport.sts.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """STS's room."""
    return Room(services={"sts": _service})
