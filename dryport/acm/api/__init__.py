"""The API of ACM: a module a purpose."""

from __future__ import annotations

from dryport.acm.api import asking, deleting, importing, reading, tags
from dryport.gateway.service import Service
from dryport.store.sealing import Sealer


def service(sealer: Sealer) -> Service:
    """The service; ``sealer`` keeps the private keys."""
    made = Service("acm")
    importing.register(made, sealer)
    asking.register(made)
    reading.register(made)
    deleting.register(made)
    tags.register(made)
    return made
