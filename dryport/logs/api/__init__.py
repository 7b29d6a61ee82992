"""The API of CloudWatch Logs: a module a resource."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.logs.api import filters, groups, reading, streams, tags, writing
from dryport.logs.storage import LogStorage


def service(storage: LogStorage) -> Service:
    """The service, on a storage of streams and events."""
    made = Service("logs")
    groups.register(made, storage)
    tags.register(made)
    streams.register(made, storage)
    writing.register(made, storage)
    reading.register(made, storage)
    filters.register(made)
    return made
