"""The API of Elastic Load Balancing v2: a module a resource."""

from __future__ import annotations

from dryport.elb.api import attributes, facts, listeners, load_balancers, rules, tags, target_groups, targets
from dryport.gateway.service import Service

SERVICE = Service("elbv2")
for _module in (load_balancers, target_groups, targets, listeners, rules, attributes, tags, facts):
    _module.register(SERVICE)
