"""STS's operations."""

from dryport.gateway.service import Service

SERVICE = Service("sts")

from dryport.sts.api import identity, sessions  # noqa: E402, F401  (register their handlers)
