"""The API of classic load balancers: a module a resource."""

from __future__ import annotations

from dryport.elb.classic.api import attributes, instances, listeners, load_balancers, places, policies, tags
from dryport.gateway.service import Service

SERVICE = Service("elb")
for _module in (load_balancers, places, listeners, instances, policies, attributes, tags):
    _module.register(SERVICE)
