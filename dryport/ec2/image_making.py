"""Machine images of instances: their rows and what they wait for. Plain functions on a transaction.

An image is ``pending`` until its snapshots are taken. Where the instance is to be rebooted for it, it is shut down
first (parked, as while the platform is down) and boots again afterwards; its snapshots are ``held`` until it is down.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import attachments, lifecycle, model
from dryport.ec2.model import Image, Snapshot
from dryport.store import Reader, Transaction

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")


def check_name(reader: Reader, account: str, region: str, name: str) -> None:
    """Raises ServiceError for a name that no image may have, or that one has: InvalidAMIName.*."""
    if not _NAME.fullmatch(name):
        raise ServiceError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', "
            "'-', '/' and '_'",
        )
    for other in reader.find(model.IMAGES, "name", f"{model.scope(account, region)}/{name}"):
        raise ServiceError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {other.id}")


def snapshots(reader: Reader, image: Image) -> list[Snapshot]:
    """The snapshots of an image that are on this machine."""
    found = (reader.get(model.SNAPSHOTS, each.snapshot_id) for each in image.block_devices if each.snapshot_id)
    return [each for each in found if each is not None]


def advance(tx: Transaction, image: Image) -> None:
    """Do the next thing that a pending image needs: its instance down, its snapshots taken, its instance up again."""
    taken = snapshots(tx, image)
    if image.reboot and not _is_down(tx, image):
        return
    for each in taken:
        if each.held:
            tx.put(model.SNAPSHOTS, replace(each, held=False))
    failed = [each for each in taken if each.state == "error"]
    if failed:
        reason = f"The snapshot {failed[0].id} could not be taken"
        tx.put(model.IMAGES, replace(image, state="failed", state_reason=reason, reboot=False))
    elif all(each.state == "completed" for each in taken):
        tx.put(model.IMAGES, replace(image, state="available", reboot=False))
    else:
        return
    if image.reboot:
        _bring_up(tx, image)


def abandon(tx: Transaction, image: Image) -> None:
    """Nobody waits for a pending image any more: its snapshots are taken all the same, its instance boots again."""
    for each in snapshots(tx, image):
        if each.held:
            tx.put(model.SNAPSHOTS, replace(each, held=False))
    if image.reboot:
        _bring_up(tx, image)


def _is_down(tx: Transaction, image: Image) -> bool:
    """Whether the instance of an image does not run; one that does is wanted down."""
    instance = tx.get(model.INSTANCES, image.source_instance_id)
    if instance is None or instance.state not in (lifecycle.PENDING, lifecycle.RUNNING):
        return instance is None or instance.state in (lifecycle.STOPPED, lifecycle.TERMINATED)
    if not instance.parking:
        tx.put(model.INSTANCES, lifecycle.park(instance))
    return instance.parked


def _bring_up(tx: Transaction, image: Image) -> None:
    instance = tx.get(model.INSTANCES, image.source_instance_id)
    if instance is None or not instance.parking:
        return
    if instance.state in (lifecycle.PENDING, lifecycle.RUNNING):
        tx.put(model.INSTANCES, lifecycle.unpark(instance))
        attachments.plug_in_again(tx, instance.id)
    else:
        tx.put(model.INSTANCES, replace(instance, parking=False, parked=False))
