"""STS's operations."""

from dryport.gateway.service import Service

SERVICE = Service("sts")

from dryport.sts.api import identity  # noqa: E402, F401  (registers its handlers)
