"""EC2's API: a module a resource, a handler an operation."""

from dryport.ec2.api import (
    addresses,
    gateways,
    groups,
    image_making,
    images,
    instance_attributes,
    instance_options,
    instance_profiles,
    instance_status,
    instance_types,
    instances,
    interface_attachments,
    interfaces,
    key_pairs,
    launch_template_data,
    launch_templates,
    nat_gateways,
    prefix_lists,
    private_addresses,
    regions,
    routes,
    rules,
    snapshots,
    subnets,
    surroundings,
    tags,
    volume_attachments,
    volume_modifications,
    volumes,
    vpcs,
)
from dryport.ec2.api.service import SERVICE
from dryport.ec2.drivers import InstanceDriver
from dryport.gateway.service import Service

__all__ = [
    "SERVICE",
    "addresses",
    "gateways",
    "groups",
    "image_making",
    "images",
    "instance_attributes",
    "instance_options",
    "instance_profiles",
    "instance_status",
    "instance_types",
    "instances",
    "interface_attachments",
    "interfaces",
    "key_pairs",
    "launch_template_data",
    "launch_templates",
    "nat_gateways",
    "prefix_lists",
    "private_addresses",
    "regions",
    "routes",
    "rules",
    "snapshots",
    "subnets",
    "surroundings",
    "tags",
    "volume_attachments",
    "volume_modifications",
    "volumes",
    "vpcs",
    "with_driver",
]


def with_driver(driver: InstanceDriver) -> Service:
    """The whole service: ``SERVICE``, and what the host driver has to be asked for."""
    made = Service("ec2")
    made.operations |= SERVICE.operations
    instance_status.register(made, driver)
    return made
