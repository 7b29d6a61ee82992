"""Public addresses, and the gateways that share one."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope_of, token
from dryport.store import Table


class PublicNetwork(Record, frozen=True, kw_only=True):
    """The block of this Dryport that public addresses come from; its first 256 are the platform's own."""

    block: str


class ElasticAddress(Resource, frozen=True, kw_only=True):
    """A public address that an account keeps. Where it is associated, ``interface_id`` has it as its public one."""

    public_ip: str
    interface_id: str | None = None
    association_id: str | None = None
    nat_gateway_id: str | None = None


class NatGateway(Resource, frozen=True, kw_only=True):
    """A public NAT gateway. ``state``: pending, available, failed, deleting, deleted."""

    vpc_id: str
    subnet_id: str
    allocation_id: str
    association_id: str
    interface_id: str
    private_ip: str
    public_ip: str
    state: str = "pending"
    client_token: str = ""
    failure_code: str = ""
    failure_message: str = ""
    created_at: float = 0.0
    deleted_at: float | None = None


PUBLIC_NETWORKS = Table("ec2.public_network", PublicNetwork, key=lambda n: "public")
ADDRESSES = Table(
    "ec2.address",
    ElasticAddress,
    key=lambda a: a.id,
    indexes={
        "scope": scope_of,
        "public_ip": lambda a: a.public_ip,
        "interface": lambda a: a.interface_id,
        "association": lambda a: a.association_id,
    },
)
NAT_GATEWAYS = Table(
    "ec2.nat_gateway",
    NatGateway,
    key=lambda g: g.id,
    indexes={
        "scope": scope_of,
        "vpc": lambda g: g.vpc_id,
        "subnet": lambda g: g.subnet_id if g.state != "deleted" else None,
        "state": lambda g: g.state,
        "token": lambda g: token(g.account, g.region, g.client_token),
    },
)
