"""How forwarding is plugged in: a service for each that is forwarded; nothing of it is loaded where none is."""

from __future__ import annotations

from dryport.control.context import Context, Room


def room(context: Context) -> Room:
    """A room of the services that the configuration names."""
    if not context.config.forwards:
        return Room()
    from dryport.forwarding.forwarder import furnish

    return furnish(context)
