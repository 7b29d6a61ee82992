"""IAM's operations: the policy simulator, AWS's managed policies, the root user's access keys.

Policies that are not enforced are not stored either: there are no users, groups and roles yet.
"""

from dryport.gateway.service import Service

SERVICE = Service("iam")

from dryport.iam.api import access_keys, managed, simulation  # noqa: E402, F401  (register their handlers)
