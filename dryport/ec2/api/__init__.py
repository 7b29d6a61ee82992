"""EC2's API: a module a resource, a handler an operation."""

from dryport.ec2.api import (
    addresses,
    gateways,
    groups,
    images,
    instance_types,
    interfaces,
    launch_templates,
    nat_gateways,
    prefix_lists,
    regions,
    routes,
    rules,
    subnets,
    surroundings,
    tags,
    vpcs,
)
from dryport.ec2.api.service import SERVICE

__all__ = [
    "SERVICE",
    "addresses",
    "gateways",
    "groups",
    "images",
    "instance_types",
    "interfaces",
    "launch_templates",
    "nat_gateways",
    "prefix_lists",
    "regions",
    "routes",
    "rules",
    "subnets",
    "surroundings",
    "tags",
    "vpcs",
]
