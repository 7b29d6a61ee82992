"""The API of S3: a module a resource."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.s3.api import (
    buckets,
    copying,
    deleting,
    encryption,
    lifecycles,
    listing,
    objects,
    ownership,
    policies,
    tagging,
    uploads,
    versioning,
)
from dryport.s3.disk import Disk


def service(disk: Disk) -> Service:
    """The service, on a directory of files."""
    made = Service("s3")
    buckets.register(made)
    objects.register(made, disk)
    copying.register(made)
    deleting.register(made)
    encryption.register(made)
    listing.register(made)
    policies.register(made)
    lifecycles.register(made)
    ownership.register(made)
    tagging.register(made)
    versioning.register(made)
    uploads.register(made, disk)
    return made
