"""Interfaces of instances: attached, plugged in while the instance is up, detached, let go with it.

Plain functions on a transaction. What is attached is ``detached`` from every network until the instance's controller
wants it plugged in.
"""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dryport.aws.identifiers import resource_id
from dryport.ec2 import model, published
from dryport.ec2.model import Instance, NetworkInterface
from dryport.store import Reader, Transaction


def of_instance(reader: Reader, instance_id: str) -> list[NetworkInterface]:
    """The interfaces that are attached to an instance, the primary one first."""
    found = reader.find(model.NETWORK_INTERFACES, "instance", instance_id)
    return sorted((each for each in found if each.device != "unplugging"), key=lambda each: each.device_index)


def attach(
    tx: Transaction,
    random: Random,
    interface: NetworkInterface,
    instance_id: str,
    *,
    index: int,
    delete_on_termination: bool,
    now: float,
) -> NetworkInterface:
    """Attach an interface that nothing uses to an instance."""
    attached = replace(
        interface,
        instance_id=instance_id,
        attachment_id=resource_id(random, "eni-attach"),
        attached_at=now,
        device_index=index,
        delete_on_termination=delete_on_termination,
        device="detached",
        device_error="",
    )
    tx.put(model.NETWORK_INTERFACES, attached)
    return attached


def plug_in(tx: Transaction, instance: Instance, namespace: str) -> None:
    """Want an instance's interfaces plugged into its network namespace."""
    for each in of_instance(tx, instance.id):
        if each.device == "detached":
            tx.put(model.NETWORK_INTERFACES, replace(each, device="wanted", namespace=namespace))


def plug_in_again(tx: Transaction, instance_id: str) -> None:
    """Want them plugged in anew: their namespace is gone, whatever was reported before."""
    for each in of_instance(tx, instance_id):
        if each.device in ("wanted", "plugged", "failed"):
            tx.put(model.NETWORK_INTERFACES, replace(each, device="detached", device_error=""))


def unplug(tx: Transaction, instance_id: str) -> None:
    """The instance has stopped and its network namespace is gone: its interfaces stay attached, without a link.

    A public address that was given by itself is let go.
    """
    for each in of_instance(tx, instance_id):
        if each.device == "detaching":
            tx.put(model.NETWORK_INTERFACES, released(each))
            continue
        idle = replace(each, device="detached", device_error="")
        tx.put(model.NETWORK_INTERFACES, published.release_public_address(tx, idle))


def detach(tx: Transaction, interface: NetworkInterface) -> None:
    """Take an interface from its instance: at once where it has no link, otherwise once that is gone."""
    if interface.device == "detached":
        tx.put(model.NETWORK_INTERFACES, released(interface))
    else:
        tx.put(model.NETWORK_INTERFACES, replace(interface, device="detaching"))


def release_all(tx: Transaction, instance_id: str) -> None:
    """The instance is terminated: its interfaces go with it, or are free."""
    for each in of_instance(tx, instance_id):
        if each.delete_on_termination:
            published.delete_network_interface(tx, each.id)
        else:
            idle = replace(released(each), wants_public_ip=False)
            tx.put(model.NETWORK_INTERFACES, published.release_public_address(tx, idle))


def released(interface: NetworkInterface) -> NetworkInterface:
    """An interface that nothing uses. Not stored."""
    return replace(
        interface,
        instance_id="",
        attachment_id=None,
        attached_at=None,
        device_index=1,
        delete_on_termination=False,
        namespace="",
        device="detached",
        device_error="",
    )


def status(interface: NetworkInterface, instance: Instance | None) -> str:
    """How far an attachment is: attaching, attached or detaching. One of a stopped instance is attached."""
    if interface.device == "detaching":
        return "detaching"
    coming = instance is not None and instance.state in ("pending", "running")
    return "attaching" if interface.device == "wanted" or (interface.device == "detached" and coming) else "attached"
