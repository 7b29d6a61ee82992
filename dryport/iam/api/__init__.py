"""IAM's operations: users, groups, roles, instance profiles, their policies and keys, and the policy simulator.

What is stored here acts with the next request (``enforcement``).
"""

from dryport.gateway.service import Service
from dryport.store.sealing import Sealer

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
    server_certificates,
    simulation,
    tags,
    users,
    versions,
)


def service(sealer: Sealer) -> Service:
    """The service; ``sealer`` keeps the private keys of server certificates."""
    made = Service("iam")
    for name, operation in SERVICE.operations.items():
        made.operation(name, unsupported=operation.unsupported)(operation.handler)
    server_certificates.register(made, sealer)
    return made
