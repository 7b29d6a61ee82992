"""STS's operations."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.store.sealing import Sealer
from dryport.sts.api import identity, messages, sessions


def service(sealer: Sealer) -> Service:
    """The service; ``sealer`` is what refusals' details were sealed with."""
    made = Service("sts")
    identity.register(made)
    sessions.register(made)
    messages.register(made, sealer)
    return made
