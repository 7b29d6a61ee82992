"""EC2's API: a module a resource, a handler an operation."""

from dryport.ec2.api import gateways, groups, interfaces, regions, routes, rules, subnets, surroundings, tags, vpcs
from dryport.ec2.api.service import SERVICE

__all__ = [
    "SERVICE",
    "gateways",
    "groups",
    "interfaces",
    "regions",
    "routes",
    "rules",
    "subnets",
    "surroundings",
    "tags",
    "vpcs",
]
