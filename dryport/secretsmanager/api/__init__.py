"""The API of Secrets Manager: a module a purpose."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.secretsmanager.api import deleting, listing, reading, tags, versions, writing
from dryport.store.sealing import Sealer


def service(sealer: Sealer) -> Service:
    """The service; ``sealer`` keeps the values."""
    made = Service("secretsmanager")
    writing.register(made, sealer)
    reading.register(made, sealer)
    listing.register(made)
    versions.register(made)
    deleting.register(made)
    tags.register(made)
    return made
