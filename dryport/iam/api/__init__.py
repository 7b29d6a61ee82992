"""IAM's operations: users, groups, roles, instance profiles, their policies and keys, and the policy simulator.

What is stored here acts with the next request (``enforcement``).
"""

from dryport.gateway.service import Service

SERVICE = Service("iam")

from dryport.iam.api import (  # noqa: E402, F401  (register their handlers)
    access_keys,
    account,
    attachments,
    boundaries,
    details,
    groups,
    inline,
    instance_profiles,
    linked_roles,
    oidc_providers,
    policies,
    principals,
    roles,
    simulation,
    tags,
    users,
    versions,
)
