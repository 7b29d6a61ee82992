"""EC2's API: a module a resource, a handler an operation."""

from dryport.ec2.api import regions, subnets, vpcs
from dryport.ec2.api.service import SERVICE

__all__ = ["SERVICE", "regions", "subnets", "vpcs"]
