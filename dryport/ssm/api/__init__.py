"""The API of Systems Manager: a module a purpose."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.ssm.api import activations, labels, listing, machines, reading, tags, writing
from dryport.store.sealing import Sealer


def service(sealer: Sealer) -> Service:
    """The service; ``sealer`` keeps the values of ``SecureString`` parameters."""
    made = Service("ssm")
    writing.register(made, sealer)
    reading.register(made, sealer)
    listing.register(made)
    labels.register(made)
    tags.register(made)
    activations.register(made)
    machines.register(made)
    return made
