"""IAM's operations: so far those that keep nothing, since policies that are not enforced are not stored either."""

from dryport.gateway.service import Service

SERVICE = Service("iam")

from dryport.iam.api import managed, simulation  # noqa: E402, F401  (register their handlers)
