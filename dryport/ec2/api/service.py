"""What all of EC2's handlers share: registration, look-up by id, tags of new resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, TypeVar

from dryport.aws.arn import make
from dryport.aws.errors import ServiceError
from dryport.ec2 import model, published
from dryport.ec2.model import Resource
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader, Table

SERVICE = Service("ec2")
Request = dict[str, Any]
Handler = Callable[[Call, Request], Output]
WaitingHandler = Callable[[Call, Request], Coroutine[Any, Any, Output]]
T = TypeVar("T", bound=Resource)
DONE: Output = {"Return": True}


class Kind(NamedTuple):
    """A kind of resource: its table, what tags call it, and how EC2 says that an id is wrong."""

    table: Table[Any]
    resource_type: str
    not_found: str
    message: str  # with {} for the id
    malformed: str | None = None


KINDS = {
    "vpc": Kind(model.VPCS, "vpc", "InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": Kind(model.SUBNETS, "subnet", "InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "igw": Kind(
        model.INTERNET_GATEWAYS,
        "internet-gateway",
        "InvalidInternetGatewayID.NotFound",
        "The internetGateway ID '{}' does not exist",
        "InvalidInternetGatewayId.Malformed",
    ),
    "rtb": Kind(
        model.ROUTE_TABLES,
        "route-table",
        "InvalidRouteTableID.NotFound",
        "The routeTable ID '{}' does not exist",
        "InvalidRouteTableId.Malformed",
    ),
    "acl": Kind(
        model.NETWORK_ACLS,
        "network-acl",
        "InvalidNetworkAclID.NotFound",
        "The networkAcl ID '{}' does not exist",
        "InvalidNetworkAclId.Malformed",
    ),
    "dopt": Kind(
        model.DHCP_OPTIONS,
        "dhcp-options",
        "InvalidDhcpOptionID.NotFound",
        "The dhcpOption ID '{}' does not exist",
        "InvalidDhcpOptionsId.Malformed",
    ),
    "sg": Kind(
        model.SECURITY_GROUPS,
        "security-group",
        "InvalidGroup.NotFound",
        "The security group '{}' does not exist",
        "InvalidGroupId.Malformed",
    ),
    "sgr": Kind(
        model.SECURITY_GROUP_RULES,
        "security-group-rule",
        "InvalidSecurityGroupRuleId.NotFound",
        "The security group rule ID '{}' does not exist",
        "InvalidSecurityGroupRuleId.Malformed",
    ),
    "pl": Kind(
        model.PREFIX_LISTS,
        "prefix-list",
        "InvalidPrefixListID.NotFound",
        "The prefix list ID '{}' does not exist",
        "InvalidPrefixListId.Malformed",
    ),
    "eipalloc": Kind(
        model.ADDRESSES,
        "elastic-ip",
        "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
    ),
    "nat": Kind(
        model.NAT_GATEWAYS,
        "natgateway",
        "NatGatewayNotFound",
        "The Nat Gateway {} was not found",
        "NatGatewayMalformed",
    ),
    "ami": Kind(
        model.IMAGES,
        "image",
        "InvalidAMIID.NotFound",
        "The image id '[{}]' does not exist",
        "InvalidAMIID.Malformed",
    ),
    "lt": Kind(
        model.LAUNCH_TEMPLATES,
        "launch-template",
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {}, does not exist.",
        "InvalidLaunchTemplateId.Malformed",
    ),
    "i": Kind(
        model.INSTANCES,
        "instance",
        "InvalidInstanceID.NotFound",
        "The instance ID '{}' does not exist",
        "InvalidInstanceID.Malformed",
    ),
    "vol": Kind(
        model.VOLUMES,
        "volume",
        "InvalidVolume.NotFound",
        "The volume '{}' does not exist.",
        "InvalidVolumeID.Malformed",
    ),
    "snap": Kind(
        model.SNAPSHOTS,
        "snapshot",
        "InvalidSnapshot.NotFound",
        "The snapshot '{}' does not exist.",
        "InvalidSnapshotID.Malformed",
    ),
    "key": Kind(model.KEY_PAIRS, "key-pair", "InvalidKeyPair.NotFound", "The key pair ID '{}' does not exist"),
    "eni": Kind(
        model.NETWORK_INTERFACES,
        "network-interface",
        "InvalidNetworkInterfaceID.NotFound",
        "The networkInterface ID '{}' does not exist",
        "InvalidNetworkInterfaceId.Malformed",
    ),
}
_ID = re.compile(r"[0-9a-f]{8}([0-9a-f]{9})?")


def operation(name: str, *, unsupported: tuple[str, ...] = ()) -> Callable[[Handler], Handler]:
    """Register a handler. ``DryRun`` answers before it runs; the region's default VPC is there when it does."""

    def register(handler: Handler) -> Handler:
        def run(call: Call, request: Request) -> Output:
            check_dry_run(request)
            published.ensure_region(call.tx, call.random, call.account, call.region)
            return handler(call, request)

        SERVICE.operation(name, unsupported=unsupported)(run)
        return handler

    return register


def waiting(
    name: str, *, unsupported: tuple[str, ...] = (), service: Service = SERVICE
) -> Callable[[WaitingHandler], WaitingHandler]:
    """Register a handler that has to wait for something: it has no transaction, and calls ``check_dry_run`` itself."""
    return service.operation(name, unsupported=unsupported)


def check_dry_run(request: Request) -> None:
    """Raises ServiceError where nothing is to be done."""
    if request.get("DryRun"):
        raise ServiceError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)


def visible(resource: Resource) -> bool:
    """Whether clients see a resource: interfaces that are being unplugged and snapshots that go are deleted to them."""
    if isinstance(resource, model.Snapshot):
        return resource.state != "deleting"
    return not (isinstance(resource, model.NetworkInterface) and resource.device == "unplugging")


def get(call: Call, prefix: str, resource_id: str) -> Any:
    """The resource of a kind (``vpc``, ``sg``, …) with this id. Raises ServiceError as EC2 does."""
    kind = KINDS[prefix]
    found = call.tx.get(kind.table, resource_id)
    if found is not None and (found.account, found.region) == (call.account, call.region) and visible(found):
        return found
    if kind.malformed and not _ID.fullmatch(resource_id.removeprefix(f"{prefix}-")):
        raise ServiceError(kind.malformed, f'Invalid id: "{resource_id}" (expecting "{prefix}-...")')
    raise ServiceError(kind.not_found, kind.message.format(resource_id))


def select(call: Call, prefix: str, ids: list[str] | None) -> list[Any]:
    """The resources of a kind that were named, or all of the account's in the region. Raises ServiceError."""
    if ids:
        return [get(call, prefix, each) for each in dict.fromkeys(ids)]
    found = call.tx.find(KINDS[prefix].table, "scope", model.scope(call.account, call.region))
    return [each for each in found if visible(each)]


def find_instances(reader: Reader, account: str, region: str, ids: Iterable[str]) -> list[model.Instance]:
    """The instances of these ids. Raises ServiceError."""
    wanted = list(dict.fromkeys(ids))
    for each in wanted:
        if not each.startswith("i-"):
            raise ServiceError("InvalidInstanceID.Malformed", f'Invalid id: "{each}" (expecting "i-...")')
        if not _ID.fullmatch(each.removeprefix("i-")):
            raise ServiceError("InvalidInstanceID.Malformed", f'Invalid id: "{each}"')
    rows = (reader.get(model.INSTANCES, each) for each in wanted)
    found = [row for row in rows if row is not None and (row.account, row.region) == (account, region)]
    known = {row.id for row in found}
    missing = [each for each in wanted if each not in known]
    if missing:
        text = f"ID '{missing[0]}' does" if len(missing) == 1 else f"IDs '{', '.join(missing)}' do"
        raise ServiceError("InvalidInstanceID.NotFound", f"The instance {text} not exist")
    return found


def get_instances(call: Call, ids: list[str] | None) -> list[model.Instance]:
    """The instances that are named, or all of the account's in the region. Raises ServiceError."""
    return find_instances(call.tx, call.account, call.region, ids) if ids else select(call, "i", None)


def get_instance(call: Call, instance_id: str) -> model.Instance:
    """The instance of this id. Raises ServiceError."""
    return get_instances(call, [instance_id])[0]


def arn(resource: Resource) -> str:
    """A resource's ARN."""
    kind = KINDS[resource.id.partition("-")[0]]
    return make("ec2", resource.region, resource.account, f"{kind.resource_type}/{resource.id}")


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def with_tags(described: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """A description with ``Tags`` where the resource has some."""
    return {**described, "Tags": tag_list(resource.tags)} if resource.tags else described


def check_tags(tags: dict[str, str]) -> None:
    """Raises ServiceError for tags that EC2 refuses. Source: "Tag restrictions", EC2 user guide."""
    if len(tags) > 50:
        raise ServiceError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise ServiceError(
                "InvalidParameterValue",
                f"Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for "
                "internal use",
            )
        if not 1 <= len(key) <= 127:
            raise ServiceError("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters")
        if len(value) > 255:
            raise ServiceError("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")


def new_tags(request: Request, resource_type: str) -> dict[str, str]:
    """The tags of ``TagSpecifications`` for what a call makes. Raises ServiceError where they are for others."""
    return tags_by_type(request, (resource_type,)).get(resource_type, {})


def tags_by_type(request: Request, resource_types: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The tags of ``TagSpecifications`` by type, for a call that makes several. Raises ServiceError."""
    found: dict[str, dict[str, str]] = {}
    for specification in request.get("TagSpecifications", []):
        named = specification.get("ResourceType", "")
        if named not in resource_types:
            raise ServiceError("InvalidParameterValue", f"'{named}' is not a valid taggable resource type")
        if not specification.get("Tags"):
            raise ServiceError("InvalidParameterValue", "Tag specification must have at least one tag")
        tags = found.setdefault(named, {})
        for tag in specification["Tags"]:
            key = tag.get("Key", "")
            if key in tags:
                raise ServiceError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
            tags[key] = tag.get("Value", "")
    for tags in found.values():
        check_tags(tags)
    return found


def earlier(call: Call, table: Table[T], request: Request) -> T | None:
    """What an earlier request with this one's ``ClientToken`` made."""
    value = model.token(call.account, call.region, request.get("ClientToken", ""))
    return next(iter(call.tx.find(table, "token", value)), None) if value is not None else None


def dependents_by_vpc(reader: Reader, table: Table[T], vpc_id: str) -> list[T]:
    """What of a table is in a VPC."""
    return [each for each in reader.find(table, "vpc", vpc_id) if visible(each)]
