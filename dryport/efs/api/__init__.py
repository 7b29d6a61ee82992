"""EFS's API: a module a resource."""

from __future__ import annotations

from dryport.efs.api import access_points, file_systems, mount_targets, settings, tags
from dryport.gateway.service import Service

SERVICE = Service("efs")
for _module in (file_systems, mount_targets, access_points, tags, settings):
    _module.register(SERVICE)
