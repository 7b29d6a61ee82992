"""Cloud Map's API: a module a resource."""

from __future__ import annotations

from dryport.gateway.service import Service
from dryport.servicediscovery.api import discovery, instances, namespaces, operations, services, tags

SERVICE = Service("servicediscovery")
for _module in (namespaces, services, instances, discovery, operations, tags):
    _module.register(SERVICE)
