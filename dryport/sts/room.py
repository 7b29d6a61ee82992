"""How the control plane plugs STS in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.sts.api import SERVICE


def room(context: Context) -> Room:
    """STS's room."""
    return Room(services=[SERVICE])
