"""How the control plane plugs IAM in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.iam.api import SERVICE


def room(context: Context) -> Room:
    """IAM's room."""
    return Room(services=[SERVICE])
