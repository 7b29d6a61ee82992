"""The life of NAT gateways: pending until the packet rules that make one are in force, deleted once they are gone.

Source: "NAT gateways", VPC user guide; a deleted one can be seen for about an hour.
"""

from __future__ import annotations

from msgspec.structs import replace

from dryport.ec2 import model, published
from dryport.ec2.model import NatGateway
from dryport.store import Reader, Transaction

VISIBLE_SECONDS = 3600.0


def waiting(reader: Reader, vpc_id: str, now: float) -> bool:
    """Whether a VPC has gateways for ``settle``."""
    return any(
        gateway.state in ("pending", "deleting") or _forgotten(gateway, now)
        for gateway in reader.find(model.NAT_GATEWAYS, "vpc", vpc_id)
    )


def settle(tx: Transaction, vpc_id: str, now: float) -> None:
    """Make the pending ones available and the deleting ones deleted, and forget those deleted an hour ago."""
    for gateway in tx.find(model.NAT_GATEWAYS, "vpc", vpc_id):
        if gateway.state == "pending":
            tx.put(model.NAT_GATEWAYS, replace(gateway, state="available"))
        elif gateway.state == "deleting":
            published.delete_network_interface(tx, gateway.interface_id)
            tx.put(model.NAT_GATEWAYS, replace(gateway, state="deleted", deleted_at=now))
        elif _forgotten(gateway, now):
            tx.delete(model.NAT_GATEWAYS, gateway.id)


def forgotten_in(reader: Reader, vpc_id: str, now: float) -> float | None:
    """In how many seconds the next one of a VPC is to be forgotten; ``None`` where none is deleted."""
    ends = [
        each.deleted_at + VISIBLE_SECONDS for each in reader.find(model.NAT_GATEWAYS, "vpc", vpc_id) if each.deleted_at
    ]
    return max(0.0, min(ends) - now) if ends else None


def _forgotten(gateway: NatGateway, now: float) -> bool:
    return gateway.deleted_at is not None and now >= gateway.deleted_at + VISIBLE_SECONDS
