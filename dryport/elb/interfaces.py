"""A load balancer's network interfaces: one a zone, in the balancer's own network namespace."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dryport.ec2 import published as ec2
from dryport.ec2.model import BALANCERS, NetworkInterface
from dryport.elb import driver, model
from dryport.elb.model import LoadBalancer, Zone
from dryport.store import Reader, Transaction


def settled(reader: Reader, balancer: LoadBalancer) -> bool:
    """Whether it has the interfaces that it should have, with its security groups, and no others."""
    present = _present(reader, balancer.arn)
    if present.keys() != {each.interface_id for each in balancer.zones}:
        return False
    return all(set(each.group_ids) == set(balancer.groups) for each in present.values())


def plugged(reader: Reader, balancer: LoadBalancer) -> bool:
    """Whether they are all in use."""
    return all(each.device == "plugged" for each in _present(reader, balancer.arn).values())


def _present(reader: Reader, arn: str) -> dict[str, NetworkInterface]:
    return {each.id: each for each in ec2.interfaces_of(reader, arn)}


def settle(tx: Transaction, random: Random, now: float, platform_id: str, arn: str) -> None:
    """Make the interfaces that are missing, let those go that are too many, have them in the right groups.

    Raises ServiceError for what EC2 refuses.
    """
    balancer = tx.get(model.LOAD_BALANCERS, arn)
    if balancer is None or balancer.state == model.DELETING:
        return
    present = _present(tx, arn)
    for each in present.keys() - {zone.interface_id for zone in balancer.zones}:
        ec2.delete_network_interface(tx, each)
    taken = {present[each.interface_id].device_index for each in balancer.zones if each.interface_id in present}
    zones = []
    for zone in balancer.zones:
        made = present.get(zone.interface_id)
        if made is None:
            index = next(number for number in range(1, 100) if number not in taken)
            taken.add(index)
            made = _make(tx, random, now, platform_id, balancer, zone, index)
        elif set(made.group_ids) != set(balancer.groups):
            ec2.set_groups(tx, made.id, balancer.groups)
        zones.append(replace(zone, interface_id=made.id, address=made.private_ip))
    tx.put(model.LOAD_BALANCERS, replace(balancer, zones=zones))


def _make(
    tx: Transaction, random: Random, now: float, platform_id: str, balancer: LoadBalancer, zone: Zone, index: int
) -> NetworkInterface:
    made = ec2.create_network_interface(
        tx,
        random,
        now=now,
        account=balancer.account,
        region=balancer.region,
        subnet_id=zone.subnet_id,
        group_ids=balancer.groups,
        open_to_all=not balancer.groups,
        description=f"ELB {balancer.name if balancer.classic else balancer.arn.rpartition('loadbalancer/')[2]}",
        assign_public_ip=balancer.scheme == "internet-facing",
        owner=balancer.arn,
        private_ip=zone.address or None,
        namespace=driver.namespace(platform_id, balancer.arn),
        requester_id=BALANCERS,
        interface_type="network_load_balancer" if balancer.type == model.NETWORK else "interface",
        names=[balancer.dns_name.lower()],
        device_index=index,
    )
    if zone.allocation_id:
        ec2.give_elastic_address(tx, random, made.id, zone.allocation_id)
    return made


def forget(tx: Transaction, arn: str) -> None:
    """Let a balancer go that nothing runs of any more: its interfaces, listeners, rules, itself."""
    for each in _present(tx, arn):
        ec2.delete_network_interface(tx, each)
    for listener in tx.keys(model.LISTENERS, "load_balancer", arn):
        for rule in tx.keys(model.RULES, "listener", listener):
            tx.delete(model.RULES, rule)
        tx.delete(model.LISTENERS, listener)
    if tx.get(model.ACCESS_LOGS, arn) is not None:
        tx.delete(model.ACCESS_LOGS, arn)
    found = tx.get(model.LOAD_BALANCERS, arn)
    if found is not None:
        tx.delete(model.LOAD_BALANCERS, arn)
